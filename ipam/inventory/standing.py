"""Which units of a draft are new, which are already as the file says, and which somebody or something else has."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ipam.inventory.draft import Account, Draft, DraftService, WantedUnit
from ipam.inventory.lines import ImportSource, is_note_of
from ipam.inventory.netbox import says_the_same
from ipam.inventory.reading import Standing, UsedUnit
from ipam.moments import at_second
from ipam.units import UnitKey

_LISTS: tuple[ImportSource, ...] = ("netbox", "phpipam")
"""What has an address for nobody in particular, too; what radreply has is a name's."""


@dataclass
class Settled:
    """Units to be written, in the order of the file, and the rows of rested ones that they take the place of."""

    new: list[WantedUnit] = field(default_factory=list)
    rested_rows: list[int] = field(default_factory=list)
    taken_over: list[tuple[int, WantedUnit]] = field(default_factory=list)
    """Rows of reservations of which it is known by now whose they are; these units are among the new ones."""
    updated: list[tuple[int, WantedUnit]] = field(default_factory=list)
    """Rows of reservations whose words have changed."""
    rowless: set[UnitKey] = field(default_factory=set)
    """New units that cool off where nothing rests: history alone is to know of them (``ipam.estate.cooling``)."""
    unchanged: int = 0

    def take(self, unit: WantedUnit, used: UsedUnit | None) -> None:
        """As a new one, and the row that it has so far."""
        self.new.append(unit)
        if used is not None and used.state == "reserved":
            self.taken_over.append((used.row_id, unit))
        elif used is not None:
            self.rested_rows.append(used.row_id)

    def call_anew(self, unit: WantedUnit, used: UsedUnit) -> None:
        """With the words of its line, unless that means several."""
        if _is_several(unit):
            self.unchanged += 1
        else:
            self.updated.append((used.row_id, unit))

    def services(self) -> list[DraftService]:
        """Those that don't exist yet, in the order of the file."""
        found = {id(unit.service): unit.service for unit in self.new if unit.service is not None}
        return [service for service in found.values() if service.existing is None]


def settle(draft: Draft, now: Standing, source: ImportSource) -> Settled:
    """Compares each unit with how it stands."""
    settled = Settled()
    _find_existing(draft, now, source)
    for unit in draft.units.values():
        used = now.used.get(unit.key)
        if unit.service is not None and unit.service.existing is not None and unit is unit.service.follows:
            continue  # it has another one, which no line says
        if (used is None and _cools_already(unit, now)) or (used is not None and _is_so_already(unit, used, source)):
            settled.unchanged += 1
        elif used is not None and _is_kept_still(unit, used, source):
            settled.call_anew(unit, used)
        elif _is_kept_out(unit, now, source) if used is None else _is_had_here(unit, used, source, draft.now):
            settled.unchanged += 1
        elif (fault := _why_not(unit, used, now, draft.now, source)) is not None:
            draft.fault(unit.line, fault)
        else:
            settled.take(_after_its_history(unit, now), used)
            settled.rowless |= {unit.key} if _cools_without_row(unit, now) else set()
    for unit in settled.new:
        if unit.service is not None and unit.service.existing is not None:
            draft.fault(unit.line, _exists(unit.service.existing, unit.service))
    return settled


def _find_existing(draft: Draft, now: Standing, source: ImportSource) -> None:
    """Which services have something that the file says already; of the others, what they lack are faults."""
    for unit in draft.units.values():
        used = now.used.get(unit.key)
        if unit.service is None or used is None or used.account is None:
            continue
        if _is_so_already(unit, used, source):
            unit.service.existing = used.account
    for service in draft.services.values():
        for line, what in service.unmet if service.existing is None else ():
            draft.fault(line, what)


def _is_kept_out(unit: WantedUnit, now: Standing, source: ImportSource) -> bool:
    """What another system has and is excluded here (the gateway above all), or has for nobody in particular and is
    drained: nobody is given it already. What cools off there goes out with our own export, and comes back so."""
    pool_id = unit.pool.pool_id
    if unit.line.state != "reserved" or source not in _LISTS:
        return False
    if covering(now.excluded.get(pool_id, ()), unit.unit) is not None:
        return True
    return not unit.line.username and covering(now.drained.get(pool_id, ()), unit.unit) is not None


def _cools_already(unit: WantedUnit, now: Standing) -> bool:
    rests, line = now.rowless.get(unit.key), unit.line
    return rests is not None and (line.state, unit.subject, line.available_at) == (
        "quarantine",
        rests.subject,
        rests.until,
    )


def _cools_without_row(unit: WantedUnit, now: Standing) -> bool:
    """Whether it is to cool off in a part that is excluded or drained: nobody is given it there, and it is known until
    when it may not even be made use of elsewhere."""
    pool_id = unit.pool.pool_id
    spans = (now.excluded.get(pool_id, ()), now.drained.get(pool_id, ()))
    return unit.line.state == "quarantine" and any(covering(each, unit.unit) is not None for each in spans)


def _is_so_already(unit: WantedUnit, used: UsedUnit, source: ImportSource) -> bool:
    if unit.line.state == "reserved":
        # Another system may know who has it by the name alone, and that is who has it here.
        named = used.account is not None and used.account.username == unit.line.username
        says_so = says_the_same(used.note, unit.line.note) if source == "netbox" else used.note == unit.line.note
        return named or (used.state == "reserved" and says_so)
    service = unit.service
    if service is None:
        return False
    if unit.line.state == "quarantine":
        at = unit.line.available_at
        return (used.state, used.subject, used.available_at) == ("quarantine", unit.subject, at)
    account = used.account
    return account is not None and account == Account(
        service_id=account.service_id,
        username=service.username or account.username,
        state="active",
        customer_id=service.customer_id,
        location_id=service.place.location_id,
        plan_id=service.plan.plan_id,
    )


def _is_kept_still(unit: WantedUnit, used: UsedUnit, source: ImportSource) -> bool:
    """What NetBox has kept for nobody it still keeps, and calls it something else by now. What radreply calls it is
    whose it is: another name there is somebody else."""
    return source == "netbox" and unit.line.state == used.state == "reserved" and is_note_of(source, used.note)


def _is_had_here(unit: WantedUnit, used: UsedUnit, source: ImportSource, at: datetime) -> bool:
    """What NetBox or phpIPAM has for nobody in particular, and a service has here, has just given back, or is kept here
    for something else: nobody else is given it. That is how our own export comes back."""
    is_nobodys = unit.line.state == "reserved" and not unit.line.username and source in _LISTS
    return is_nobodys and (used.available_at is None or used.available_at > at)


def _is_taken_over(unit: WantedUnit, used: UsedUnit, source: ImportSource) -> bool:
    """Whose it is has become known of what the same system had for nobody; of radreply under the same name."""
    is_known_now = unit.line.state == "assigned" and used.state == "reserved" and is_note_of(source, used.note)
    return is_known_now and (source != "radreply" or used.note == unit.line.note)


def _after_its_history(unit: WantedUnit, now: Standing) -> WantedUnit:
    """What was kept for nobody until now is the service's from now on, if it was its already before it was kept: what
    has become of a unit is told in the order of its times."""
    since, last = unit.line.since, now.last_event_at.get(unit.key)
    if since is None or last is None or since >= last:
        return unit
    return replace(unit, line=replace(unit.line, since=None))


def _is_several(unit: WantedUnit) -> bool:
    """Whether its line is a prefix around it: an address in it may have words of its own, from another list."""
    network, length = unit.line.network, unit.pool.unit_length
    return network is not None and length is not None and network.length < length


def _why_not(unit: WantedUnit, used: UsedUnit | None, now: Standing, at: datetime, source: ImportSource) -> str | None:
    number, pool_id = unit.unit, unit.pool.pool_id
    if used is None and _cools_without_row(unit, now):
        rests = now.rowless.get(unit.key)
        if rests is not None and rests.until > at:
            return f"{unit.value} of pool {unit.pool.name} is {_rests(rests.until)}"
        return _story(unit, now, at)
    if (reason := covering(now.excluded.get(pool_id, ()), number)) is not None:
        return f"{unit.value} of pool {unit.pool.name} is excluded: {reason}"
    if used is not None and _is_taken_over(unit, used, source):
        return _is_before(unit, at, now.last_story_at.get(unit.key))  # that it was kept is no other story
    if used is not None and (whose := _whose(unit, used, at)) is not None:
        return f"{unit.value} of pool {unit.pool.name} is {whose}"
    if used is None and (note := covering(now.drained.get(pool_id, ()), number)) is not None:
        return f"{unit.value} lies in what is being drained of pool {unit.pool.name} ({note})"
    rested_at = None if used is None or used.subject == unit.subject else used.available_at
    return _story(unit, now, at, rested_at)


def _story(unit: WantedUnit, now: Standing, at: datetime, rested_at: datetime | None = None) -> str | None:
    """That something else became of it since then; ``rested_at``: when it had cooled off for another subject."""
    last = now.last_event_at.get(unit.key)
    if rested_at is not None:
        last = max(rested_at, last or rested_at)
    return _is_before(unit, at, last)


def _is_before(unit: WantedUnit, at: datetime, last: datetime | None) -> str | None:
    if last is not None and (unit.line.since or at) < last:
        return f"since: {unit.value} had another story until {at_second(last)} (see its history)"
    return None


def _whose(unit: WantedUnit, used: UsedUnit, at: datetime) -> str | None:
    """Why a unit that has a row can't be had; None: it has rested, or rests for the same subject."""
    if used.account is not None:
        account = used.account
        return f"held by service {account.service_id} ({account.username}, customer {account.customer_id})"
    if used.state == "reserved":
        return f"reserved ({used.note})"
    assert used.available_at is not None, "the database has a rule for it"
    if used.available_at <= at or (unit.line.state == "assigned" and used.subject == unit.subject):
        return None
    return _rests(used.available_at)


def _rests(until: datetime) -> str:
    return f"in quarantine until {at_second(until)}"


def _exists(account: Account, service: DraftService) -> str:
    if account.state == "released":
        return f"username {account.username} was service {account.service_id}'s, which has been released"
    if service.username and account.username != service.username:
        return f"service {account.service_id} is {account.username} here, not {service.username}"
    return f"username {account.username} is service {account.service_id}'s, which exists without this"


def covering(spans: Sequence[tuple[int, int, str]], unit: int) -> str | None:
    """Why, if one of these spans holds the unit."""
    place = bisect_right(spans, unit, key=lambda span: span[0]) - 1
    return spans[place][2] if place >= 0 and spans[place][1] >= unit else None
