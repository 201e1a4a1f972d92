"""FreeRADIUS' own log, for what stands nowhere else: packets it dropped since a NAS has another secret, or since their
address is not even in its network of NASes.

That a request has no Message-Authenticator, where one is asked for, 3.2.1 writes down only while it is debugged.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from radius.logins.findings import SecretMisfit
from radius.logins.views import UnknownNas

LATEST_OCTETS = 4 * 1024 * 1024
"""Of a long log only its end is read."""
MOST_UNKNOWN = 1000

_LINE = re.compile(
    r"^(?P<at>\w{3} \w{3} +\d+ [\d:]{8} \d{4}) : .*?"
    r"from (?:client |host )?(?P<address>[0-9a-fA-F.:]+?)(?: port \d+)?:? .*"
    r"(?:(?P<secret>Shared secret is incorrect|invalid Message-Authenticator|invalid Request Authenticator)"
    r"|does not contain required Message-Authenticator)"
)
_UNKNOWN = re.compile(
    r"^(?P<at>\w{3} \w{3} +\d+ [\d:]{8} \d{4}) : Error: Ignoring request to \S+ address \S+ port \d+"
    r"(?: bound to server \S+)? from unknown client (?P<address>[0-9a-fA-F.:]+) port \d+"
)


def secret_misfits(log_file: Path) -> dict[str, SecretMisfit]:
    """By address of the sender, from the end of the log. Times in the log are this machine's local ones.

    Raises:
        OSError: it can't be read.
    """
    return dict(_dropped(_latest_lines(log_file)))


def unknown_clients(log_file: Path) -> list[UnknownNas]:
    """Addresses that it knew as no client then, also outside of its network of NASes, who asked last first; from the
    end of the log.

    Raises:
        OSError: it can't be read.
    """
    moments: defaultdict[str, set[datetime]] = defaultdict(set)
    for line in _latest_lines(log_file):
        found = _UNKNOWN.match(line)
        if found is not None:
            moments[found["address"]].add(_moment(found["at"]))
    seen = [
        UnknownNas(address=address, first_at=min(times), last_at=max(times), times=len(times))
        for address, times in moments.items()
    ]
    return sorted(seen, key=lambda each: (each["last_at"], each["address"]), reverse=True)[:MOST_UNKNOWN]


def _moment(at: str) -> datetime:
    return datetime.strptime(at, "%a %b %d %H:%M:%S %Y").astimezone().astimezone(UTC)


def _latest_lines(log_file: Path) -> list[str]:
    with log_file.open("rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - LATEST_OCTETS))
        return log.read().decode("utf-8", errors="replace").splitlines()


def _dropped(lines: Iterable[str]) -> Iterator[tuple[str, SecretMisfit]]:
    for line in lines:
        found = _LINE.match(line)
        if found is not None:
            yield found["address"], SecretMisfit(_moment(found["at"]), unsigned=found["secret"] is None)
