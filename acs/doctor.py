"""Is a GenieACS free of what is known to hurt? Its door, its version, its clock, its presets. Only reads.

The NBI has no authentication of its own, shows every customer's passwords in clear, and ``PUT /provisions`` is code
that runs on the ACS: whoever reaches it owns it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from typing_extensions import TypedDict

from acs.nbi.client import NbiClient
from acs.nbi.errors import NbiError
from acs.presets.baseline import FIRST_SESSION, Baseline, baseline
from acs.presets.differences import Change, Differences, differences

OLDEST_SAFE = (1, 2, 15)
"""The follow-up of CVE-2021-46704 (code run through the web interface's ping, without a login) is closed from here."""
SKEW = timedelta(seconds=60)
NBI_PORT = 7557
CONNECT_SECONDS = 2.0


class AcsTrap(TypedDict):
    """One thing that will hurt: what was found, why that hurts, and the line that ends it."""

    trap: str
    what: str
    why: str
    fix: str


class AcsExamination(TypedDict):
    """``not_looked_at`` is where nobody could look, and why: nothing found there means nothing."""

    traps: list[AcsTrap]
    not_looked_at: list[str]


Reaches = Callable[[str, int], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class AcsDoor:
    """How we come to an NBI: where it is, and whether we show who we are."""

    acs_name: str
    url: str
    authenticated: bool
    own_addresses: Sequence[str]
    """Of this machine, without loopback ones."""


async def examine_acs(
    door: AcsDoor,
    nbi: NbiClient,
    *,
    now: Callable[[], datetime],
    reaches: Reaches | None = None,
    wanted: Baseline | None = None,
) -> AcsExamination:
    """Every trap that is found; an ACS that does not answer is one itself, and its door is looked at all the same."""
    traps = [trap async for trap in _door_traps(door, reaches or _reaches)]
    unseen: list[str] = []
    wanted = wanted or baseline()
    try:
        found = await differences(nbi, wanted)
        asks = FIRST_SESSION in wanted.presets
        unanswered = await nbi.count("faults", {"channel": FIRST_SESSION, "code": "timeout"}) if asks else 0
    except NbiError as error:
        traps.append(_no_answer(door, error))
        unseen.append(f"the presets of ACS {door.acs_name}: it did not answer")
        return AcsExamination(traps=traps, not_looked_at=unseen)
    traps += _version_traps(door, nbi.genieacs_version, unseen)
    traps += _clock_traps(door, nbi.clock_of_acs, now(), unseen)
    traps += _traps_of_others(door, found)
    if unanswered:
        traps.append(_extension_silent(door, unanswered))
    if found["changes"]:
        traps.append(_presets_differ(door, found["changes"]))
    return AcsExamination(traps=traps, not_looked_at=unseen)


async def _door_traps(door: AcsDoor, reaches: Reaches) -> AsyncIterator[AcsTrap]:
    url = urlsplit(door.url)
    host, port = str(url.hostname), url.port or (443 if url.scheme == "https" else 80)
    if _is_loopback(host):
        open_at = [address for address in door.own_addresses if await reaches(address, port)]
        if open_at:
            yield _open(door, f"answers at {', '.join(open_at)} port {port} as well")
        return
    if port != NBI_PORT and await reaches(host, NBI_PORT):
        yield _open(door, f"is reached at {host} port {NBI_PORT}, past the proxy at port {port}")
    if url.scheme != "https":
        yield AcsTrap(
            trap="nbi_without_tls",
            what=f"ACS {door.acs_name} is asked at {door.url}, in clear",
            why="Every password of every CPE passes that network in clear, and whoever is on it may answer instead.",
            fix="put deploy/genieacs/nginx.conf before it, and name its https address",
        )
    if not door.authenticated:
        yield AcsTrap(
            trap="nbi_without_authentication",
            what=f"ACS {door.acs_name} at {door.url} is asked without a token or certificate",
            why="Who reaches that address can read all passwords, and run code on the ACS.",
            fix="put deploy/genieacs/nginx.conf before it, and set FIRSTLIGHT_GENIEACS_TOKEN_FILE or"
            " FIRSTLIGHT_GENIEACS_CERTIFICATE_FILE",
        )


def _open(door: AcsDoor, how: str) -> AcsTrap:
    return AcsTrap(
        trap="nbi_open_to_others",
        what=f"the NBI of ACS {door.acs_name} {how}",
        why="It asks nobody who they are: who reaches it can read all passwords, and run code on the ACS.",
        fix="GENIEACS_NBI_INTERFACE=127.0.0.1 for genieacs-nbi, and deploy/genieacs/nginx.conf for other hosts",
    )


def _no_answer(door: AcsDoor, error: NbiError) -> AcsTrap:
    return AcsTrap(
        trap="acs_no_answer",
        what=f"ACS {door.acs_name}: {error}",
        why="No CPE is given its settings, and nothing is known of any of them.",
        fix="systemctl status genieacs-nbi, and the address in FIRSTLIGHT_GENIEACS_NBI_URL",
    )


def _version_traps(door: AcsDoor, version: str | None, unseen: list[str]) -> Iterator[AcsTrap]:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version or "")
    if numbers is None:
        unseen.append(f"the version of ACS {door.acs_name}: it does not say (a proxy may hide GenieACS-Version)")
        return
    if tuple(int(each) for each in numbers.groups()) < OLDEST_SAFE:
        yield AcsTrap(
            trap="genieacs_old",
            what=f"ACS {door.acs_name} is GenieACS {version}",
            why="Before 1.2.15 its web interface runs anybody's code, without a login (after CVE-2021-46704).",
            fix="update GenieACS to 1.2.16",
        )


def _clock_traps(door: AcsDoor, said: str | None, now: datetime, unseen: list[str]) -> Iterator[AcsTrap]:
    try:
        at = parsedate_to_datetime(said or "").astimezone(UTC)
    except ValueError:
        unseen.append(f"the clock of ACS {door.acs_name}: its answers carry no Date")
        return
    if abs(at - now) > SKEW:
        ahead = "ahead of" if at > now else "behind"
        yield AcsTrap(
            trap="clock_skew",
            what=f"the clock of ACS {door.acs_name} is {abs(at - now).total_seconds():.0f} s {ahead} ours",
            why="Reports of CPEs are noticed late or too early, and their expiry dates are wrong.",
            fix="timedatectl set-ntp true on both machines",
        )


def _traps_of_others(door: AcsDoor, found: Differences) -> Iterator[AcsTrap]:
    """What stands at the ACS that is not ours, and stops sessions or works against us."""
    for poison in found["poison"]:
        yield AcsTrap(
            trap="preset_stops_sessions",
            what=f"ACS {door.acs_name}: preset {poison['name']}: {', '.join(poison['faults'])}",
            why="The CWMP workers die of it at the next refresh of their copy, and all CPE sessions stop.",
            fix=f"delete or mend preset {poison['name']} in GenieACS",
        )
    for rival in found["rivals"]:
        yield AcsTrap(
            trap="inform_interval_rival",
            what=f"ACS {door.acs_name}: script {rival}, which is not ours, says how often CPEs report",
            why="It and we set intervals in turn: that reads as drift, is repaired, and ends as a repair loop.",
            fix=f"take PeriodicInformEnable and PeriodicInformInterval out of provision {rival} in GenieACS",
        )


def _extension_silent(door: AcsDoor, unanswered: int) -> AcsTrap:
    return AcsTrap(
        trap="first_session_extension_silent",
        what=f"ACS {door.acs_name}: the first sessions of {unanswered} CPEs waited for an extension in vain",
        why="Each new CPE costs a session 3 s, and gets its settings by a task as if nobody had been asked.",
        fix="put deploy/genieacs/ext/firstlight.js into GenieACS's folder of extensions, as docs/acs.md says",
    )


def _presets_differ(door: AcsDoor, changes: Sequence[Change]) -> AcsTrap:
    return AcsTrap(
        trap="presets_differ",
        what=f"ACS {door.acs_name} has not, or not as they should be: "
        + ", ".join(sorted({change["name"] for change in changes})),
        why="Without them a CPE that was reset keeps factory defaults, since the ACS believes its old copy.",
        fix=f"firstlight devices acs install --acs {door.acs_name}",
    )


def own_addresses(proc: Path = Path("/proc")) -> list[str]:
    """The addresses of this machine that other hosts may reach, as its kernel lists them."""
    found: list[str] = []
    if (trie := proc / "net" / "fib_trie").exists():
        found += re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", trie.read_text(encoding="ascii"))
    if (six := proc / "net" / "if_inet6").exists():
        for line in six.read_text(encoding="ascii").splitlines():
            bare = line.split()[0]
            found.append(str(ip_address(bytes.fromhex(bare))))
    # A link-local address needs an interface's name to be reached.
    return sorted({each for each in found if not (ip_address(each).is_loopback or ip_address(each).is_link_local)})


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def _reaches(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
