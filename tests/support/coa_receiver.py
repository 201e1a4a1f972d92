"""Debian's FreeRADIUS in the place of a NAS: takes CoA- and Disconnect-Requests and writes down what it decoded.

It reads them by its own dictionaries and checks them by its own rules, so it shares nothing with the sender. What it
answers is up to the session's id: with ``nak`` in it a NAK; ``with-<cause>`` adds that Error-Cause, by FreeRADIUS' name
or by number; ``signed`` adds a Message-Authenticator; one with ``alone`` is unknown while a User-Name goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from radius.testing.errors import FreeRadiusMissing
from tests.support.freeradius_process import PROGRAM, free_port, running

SECRET = "a-lab-secret-of-24-chars"
_ADDRESS = "127.79.0.1"  # of no other test, so that nobody takes a port there
_CONFIGURATION = """\
prefix = /usr
libdir = /usr/lib/freeradius
name = radiusd
confdir = %(run_dir)s/raddb
raddbdir = ${confdir}
run_dir = %(run_dir)s
localstatedir = ${run_dir}
db_dir = ${run_dir}
logdir = ${run_dir}
pidfile = ${run_dir}/radiusd.pid
correct_escapes = true
hostname_lookups = no
proxy_requests = no
cleanup_delay = 10
log {
	destination = files
	file = ${logdir}/radius.log
}
security {
	allow_core_dumps = no
}
# one, so that what is written is in the order in which it came
thread pool {
	start_servers = 1
	max_servers = 1
}
modules {
	detail received {
		filename = ${run_dir}/received
		header = "%%{Packet-Type}"
		permissions = 0600
	}
	always reject {
		rcode = reject
	}
	always ok {
		rcode = ok
	}
}
client sender {
	ipaddr = 127.0.0.0/8
	secret = "%(secret)s"
	require_message_authenticator = %(required)s
}
server receiver {
	listen {
		type = coa
		ipaddr = %(address)s
		port = %(port)d
	}
	recv-coa {
		received
		if (&Acct-Session-Id =~ /alone/ && &User-Name) {
			update reply {
				&Error-Cause := Session-Context-Not-Found
			}
			reject
		}
		if (&Acct-Session-Id =~ /signed/) {
			update reply {
				&Message-Authenticator := 0x00
			}
		}
		if (&Acct-Session-Id =~ /with-([A-Za-z0-9-]+)/) {
			update reply {
				&Error-Cause := "%%{1}"
			}
		}
		if (&Acct-Session-Id =~ /nak/) {
			reject
		}
		else {
			ok
		}
	}
	send-coa {
		ok
	}
}
"""


@dataclass(frozen=True)
class Received:
    """One request as FreeRADIUS decoded it: ``attributes`` in the order in which they came, under its own names, but
    for the Message-Authenticator (``signed``) and the Event-Timestamp (``at``)."""

    kind: str
    signed: bool
    at: datetime | None
    attributes: list[tuple[str, str]]


@dataclass(frozen=True)
class CoaReceiver:
    """One that runs."""

    address: str
    port: int
    run_dir: Path

    def received(self, session_id: str) -> list[Received]:
        """What it has answered, or was about to, of that session."""
        file = self.run_dir / "received"
        blocks = file.read_text().split("\n\n") if file.exists() else []
        everything = [_decoded(block) for block in blocks if block.strip()]
        return [each for each in everything if ("Acct-Session-Id", session_id) in each.attributes]

    def log(self) -> str:
        return (self.run_dir / "radius.log").read_text(errors="replace")


@contextmanager
def coa_receiver(
    run_dir: Path, *, address: str = _ADDRESS, secret: str = SECRET, message_authenticator: bool = True
) -> Iterator[CoaReceiver]:
    """For the time of the block. ``message_authenticator``: a request without one is dropped.

    Raises:
        FreeRadiusMissing, FreeRadiusFailed
    """
    if not PROGRAM.exists():
        raise FreeRadiusMissing("FreeRADIUS")
    receiver = CoaReceiver(address, free_port(address), run_dir)
    said = {"run_dir": run_dir, "address": address, "port": receiver.port, "secret": secret}
    (run_dir / "raddb").mkdir(parents=True, mode=0o700)
    configuration = run_dir / "raddb" / "radiusd.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(_CONFIGURATION % {**said, "required": "yes" if message_authenticator else "no"})
    environment = {"PATH": "/usr/bin:/bin", "TZ": "UTC"}
    with running(run_dir / "raddb", run_dir, "-n", "radiusd", environment=environment):
        yield receiver


def _decoded(block: str) -> Received:
    kind, *lines = block.strip().splitlines()
    pairs = [(name, _plain(value)) for name, _, value in (line.strip().partition(" = ") for line in lines)]
    told = dict(pairs)
    at = told.get("Event-Timestamp")
    of_its_own = {"Packet-Type", "Timestamp", "Message-Authenticator", "Event-Timestamp"}
    return Received(
        kind=kind,
        signed="Message-Authenticator" in told,
        at=datetime.strptime(at, "%b %d %Y %H:%M:%S UTC").replace(tzinfo=UTC) if at else None,
        attributes=[pair for pair in pairs if pair[0] not in of_its_own],
    )


def _plain(value: str) -> str:
    return value[1:-1] if value.startswith('"') else value
