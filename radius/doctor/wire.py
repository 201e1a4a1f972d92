"""What FreeRADIUS' answers to a login of nobody show: asked by ``radius.doctor.examination``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from radius.doctor.raddb import Raddb
from radius.doctor.traps import Trap
from radius.nas.canary import ACCESS_ACCEPT, LOOKED_UP, WAITS, AuthDoor, CanaryReply, NotFromHere, ask_as


@dataclass(frozen=True)
class Patient:
    """What is examined. ``doors``: the NASes of ours as which FreeRADIUS may be asked; one of them must be of this
    machine. ``keep``: how long logins are kept. ``environment``: what its configuration takes from there."""

    config_dir: Path | None
    doors: Sequence[AuthDoor]
    keep: timedelta
    environment: Mapping[str, str] = field(default_factory=dict)
    nas_lifetime: timedelta | None = None
    """How long our settings say that it remembers a NAS; None: not to be compared."""
    program: str | None = None
    """None: the one that is installed here."""
    waits: Iterable[float] = WAITS
    """Seconds until a login of nobody is sent again, and at last is not answered."""
    unsigned_waits: Iterable[float] = WAITS
    """The same of one that is not to be answered."""


async def answers(patient: Patient, raddb: Raddb | None, traps: list[Trap], unseen: list[str]) -> bool:
    """What its answers show; False: there was none."""
    for door in patient.doors:
        try:
            reply = await ask_as(door, waits=patient.waits)
        except NotFromHere:
            continue
        except OSError as error:
            unseen.append(f"FreeRADIUS' answers: no way to {door.host} port {door.port} ({error.strerror})")
            return False
        traps += await _of_answers(patient, door, reply)
        if reply is not None:
            traps += _of_refusal(f"{door.host} port {door.port}", reply, raddb, unseen)
        return reply is not None
    unseen.append(
        "FreeRADIUS' answers: no NAS of ours has an address of this machine;"
        " `firstlight nas add doctor ADDRESS --dialect mikrotik --reason doctor` makes one,"
        f" {_address_to_ask_from(patient)}"
    )
    return False


def _address_to_ask_from(patient: Patient) -> str:
    """FreeRADIUS hears its network of NASes alone, and 127.0.0.1 need not be in there."""
    network = patient.environment.get("FIRSTLIGHT_FREERADIUS_NAS_NETWORK", "")
    try:
        inside = ip_address("127.0.0.1") in ip_network(network, strict=False)
    except ValueError:
        return "where ADDRESS is one of this machine's and in FreeRADIUS' network of NASes"
    return "where ADDRESS is 127.0.0.1" if inside else f"where ADDRESS is one of this machine's in {network}"


def _of_refusal(where: str, reply: CanaryReply, raddb: Raddb | None, unseen: list[str]) -> list[Trap]:
    """Whether nobody is refused since he is nobody, or since everybody is."""
    if reply.code == ACCESS_ACCEPT:
        return [
            Trap(
                trap="nobody_let_in",
                what=f"{where} accepts a login of nobody with any password",
                why="Whoever asks is online, and nobody pays.",
                fix="no DEFAULT user and no Auth-Type := Accept; radius.log and `freeradius -X` show which row or line",
            )
        ]
    if reply.looked_up:
        return []
    if raddb is None or not any(value == LOOKED_UP for one in raddb.root.every() for _, value in one.values):
        unseen.append("whether FreeRADIUS lets anybody in: it refuses a login of nobody, and its words don't say why")
        return []
    return [
        Trap(
            trap="everybody_refused",
            what=f"{where} refuses a login of nobody without having looked for it",
            why="A table or a grant is missing, so everybody is refused, or it runs with an older configuration.",
            fix="systemctl restart freeradius; `firstlight migrate`; radius.log names the query that fails",
        )
    ]


async def _of_answers(patient: Patient, door: AuthDoor, reply: CanaryReply | None) -> list[Trap]:
    where = f"{door.host} port {door.port}"
    if reply is None:
        return [
            Trap(
                trap="no_answer",
                what=f"FreeRADIUS at {where} does not answer a login as {door.nas_name} ({door.nas_address})",
                why="Nobody can log in while it, or its database, is down.",
                fix="systemctl status freeradius; tail radius.log",
            )
        ]
    traps = []
    if not reply.authenticated_first:
        traps.append(
            Trap(
                trap="replies_unsigned",
                what=f"the reply of {where} does not begin with a Message-Authenticator",
                why="It can be forged by who sits in between (BlastRADIUS, CVE-2024-3596).",
                fix="authorize { update reply { &Message-Authenticator := 0x00 } ... }, as its first line",
            )
        )
    if await ask_as(door, authenticated=False, waits=patient.unsigned_waits) is not None:
        traps.append(
            Trap(
                trap="unsigned_requests",
                what=f"{where} answers a request without a Message-Authenticator",
                why="The other half of BlastRADIUS: a request can be changed on its way.",
                fix="FIRSTLIGHT_FREERADIUS_REQUIRE_MESSAGE_AUTHENTICATOR=yes, or require_message_authenticator = yes",
            )
        )
    return traps
