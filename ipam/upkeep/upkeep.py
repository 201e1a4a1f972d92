"""What operators do to addresses under way, by the names of pools and by addresses, prefixes and VLAN numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import holdings
from ipam.errors import RequestInvalid
from ipam.estate.ranges import drained_of, excluded_of
from ipam.estate.rows import EstateRows
from ipam.lookup import history
from ipam.lookup.answers import ServiceFacts, service_facts
from ipam.upkeep import drained_units, draining, excluding, rehoming, renaming, reserving, retiring, shrinking
from ipam.upkeep.answers import LeftBehind, UnitEvent
from ipam.upkeep.pool_units import KnownPool, checked_note, find_pool
from ipam.upkeep.rehoming import Rehomed
from ipam.upkeep.request_parts import RequestParts, refuse_faults
from ipam.usage.ending import TellCrossing

log = structlog.get_logger(__name__)


class NetworkUpkeep:
    """Reserves, excludes, lifts, drains and re-homes for one tenant, within the caller's transaction.

    Each is all or nothing, ``rehome`` together with its caller; those that answer True or False say whether anything
    was changed, so these may be repeated. ``note`` says why, for whoever finds it later; that of ``include`` and
    ``undrain``, which leave nothing that could keep it, is for whoever audits it. All raise ``NameUnknown`` for a pool
    that isn't there, ``RequestInvalid`` for what can't be meant (with all faults, names that nobody knows among them),
    and ``PoolBusy`` (transient) when others held its rows for too long. ``tell``: how a pool that leaves the network is
    told as recovered, if it was told as anything worse.
    """

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Callable[[], datetime], tell: TellCrossing | None = None
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._rows = EstateRows(db, tenant_id, tell)
        self._now = now

    async def reserve(self, *, pool: str, value: str, note: str) -> bool:
        """Keep a free address, prefix or C-VLAN for something: nobody is given it until it is unreserved.

        Raises:
            UnitTaken, UnitReserved, UnitCooling, UnitExcluded, UnitDraining, UnitLost: why it can't be kept.
        """
        said, known = await self._asked(pool, note, {"value": value})
        done = await reserving.reserve(self._db, known.unit(value), note=said, at=self._now())
        self._log("unit reserved", done, pool=pool, value=value)
        return done

    async def unreserve(self, *, pool: str, value: str, note: str) -> bool:
        """Let a reserved one be handed out again; again: it is so already.

        Raises:
            UnitNotHeld: it wasn't reserved.
        """
        said, known = await self._asked(pool, note, {"value": value})
        done = await reserving.unreserve(self._db, known.unit(value), note=said, at=self._now())
        self._log("unit unreserved", done, pool=pool, value=value)
        return done

    async def lift(self, *, pool: str, value: str, note: str) -> bool:
        """End a quarantine now, or those of all units from-to or of a prefix: they may go to anybody, or, where they
        are excluded or being drained, to nobody. False: there is nothing to end any more.

        Raises:
            UnitNotHeld: the one isn't in quarantine, and wasn't.
        """
        said, known = await self._asked(pool, note, {"units": value})
        first, last = known.units(value)
        if first == last:
            done = await reserving.lift(self._rows, known.unit(value), note=said, at=self._now())
        else:
            done = await reserving.lift_all(self._rows, known, (first, last), note=said, at=self._now())
        self._log("quarantine lifted", done, pool=pool, value=value)
        return done

    async def why_drained(self, *, pool: str, value: str) -> str | None:
        """Why the part that it, or some of it, lies in is being drained; None: it isn't."""
        known = await self._found(pool, {"units": value})
        return await drained_units.why_drained(self._db, known.pool_id, known.units(value))

    async def why_excluded(self, *, pool: str, value: str) -> str | None:
        """Why what was lifted or unreserved of it is excluded, so that it goes to nobody; None: nothing of that is."""
        known = await self._found(pool, {"units": value})
        return await drained_units.why_excluded(self._db, known.pool_id, known.units(value))

    async def part(self, *, pool: str, span: str) -> str:
        """What ``exclude``, ``drain`` and the like take for a span: whole units, so it may be more. The span itself
        where it isn't."""
        return (await find_pool(self._db, self._tenant_id, pool)).part(span)

    async def exclude(self, *, pool: str, span: str, note: str) -> bool:
        """Never hand out an address, a prefix or from-to; the description of the network doesn't undo it.

        Raises:
            EstateInUse: a live service holds a part of it, or a part is reserved.
        """
        said, known = await self._asked(pool, note, {"span": span})
        async with self._db.begin_nested():
            done = await excluding.exclude(self._rows, known, known.interval(span), note=said, at=self._now())
        self._log("units excluded", done, pool=pool, span=known.part(span))
        return done

    async def include(self, *, pool: str, span: str, note: str) -> bool:
        """Let in again what was excluded by hand; what has not cooled off goes on to."""
        _, known = await self._asked(pool, note, {"span": span})
        async with self._db.begin_nested():
            done = await excluding.include(self._rows, known, known.interval(span), at=self._now())
        self._log("units included", done, pool=pool, span=known.part(span))
        return done

    async def drain(self, *, pool: str, note: str, span: str | None = None) -> bool:
        """Hand out nothing of the pool, or of a part of it, any more. Who has something keeps it until released."""
        said, known = await self._asked(pool, note, {"span": span})
        async with self._db.begin_nested():
            done = await draining.drain(self._rows, known, known.interval(span), note=said, at=self._now())
        self._log("drain begun", done, pool=pool, span=span)
        return done

    async def undrain(self, *, pool: str, note: str, span: str | None = None) -> bool:
        """Hand it out again, when it has cooled off."""
        _, known = await self._asked(pool, note, {"span": span})
        async with self._db.begin_nested():
            done = await draining.undrain(self._rows, known, known.interval(span), at=self._now())
        self._log("drain ended", done, pool=pool, span=span)
        return done

    async def left_behind(self, *, pool: str) -> list[LeftBehind]:
        """Who still has something in what is being drained, and what has to cool off there."""
        known = await find_pool(self._db, self._tenant_id, pool)
        return await draining.left_in(self._rows, known, self._now())

    async def is_drained(self, *, pool: str) -> bool:
        """Whether any part of the pool is being drained."""
        return bool(await drained_of(self._rows, (await find_pool(self._db, self._tenant_id, pool)).pool_id))

    async def kind_of(self, *, pool: str) -> str:
        """What the pool hands out, by which it differs how a service gets out of a part that is being drained."""
        return (await find_pool(self._db, self._tenant_id, pool)).kind

    async def shrink(self, *, pool: str, network: str, note: str) -> bool:
        """Make the pool's prefix a smaller one that starts where it starts; the rest may be used elsewhere.

        Raises:
            RequestInvalid: the pool could not be described like that: by its gateway, by what would be left of it.
            PrefixNotEmpty: something outside of it is in use, or hasn't cooled off yet.
        """
        said, known = await self._asked(pool, note, {"network": network})
        async with self._db.begin_nested():
            done = await shrinking.shrink(self._rows, known, network, note=said, at=self._now())
        self._log("prefix shrunk", done, pool=pool, network=network)
        return done

    async def retire(self, *, pool: str, note: str) -> None:
        """Take the pool and its prefix out of the network for good; the space may be used elsewhere. Who had which of
        its addresses until then is still found. So may one that the BNG hands out.

        Raises:
            PoolNotEmpty: somebody has something of it, or it hasn't cooled off yet; of a pool that the BNG hands out:
                a live service may have.
        """
        await self._rows.be_alone()  # first, as in ``_asked``
        await refuse_faults(self._db, self._tenant_id, {"leaving_pool": pool, "note": note})
        said, known = checked_note(note), await find_pool(self._db, self._tenant_id, pool, include_framed=True)
        async with self._db.begin_nested():
            await retiring.retire(self._rows, known, note=said, at=self._now())
        self._log("pool retired", True, pool=pool, network=known.network)

    async def rehome(self, *, access_nodes: Sequence[str], bng: str, note: str) -> Rehomed:
        """Put access nodes behind another BNG, and give their live services what is served there.

        What the new BNG can serve is kept; what it can't goes into quarantine. The answer lists every service that
        went, and what it was given anew; a node that is behind that BNG already is left as it is, and so are its
        services. Whoever asks may have more to look at, so services that can't be served there are answered and not
        raised: while there is a ``refusal``, the caller has to undo all that was done.
        """
        await refuse_faults(self._db, self._tenant_id, {"access_nodes": access_nodes, "bng": bng, "note": note})
        said = checked_note(note)
        async with self._db.begin_nested():
            done = await rehoming.rehome(self._rows, access_nodes, bng, note=said, at=self._now())
        log.debug("access nodes re-homed", nodes=list(access_nodes), bng=bng, services=len(done.moved))
        return done

    async def hold_service(self, *, service_id: int, going_to: str | None = None) -> ServiceFacts:
        """A service, also one that was released, which nobody else changes until the transaction ends; its premise and
        the one where it may be ``going_to`` stay where they are until then.

        Raises:
            ServiceUnknown
        """
        premises = () if going_to is None else (going_to,)
        return service_facts(await holdings.hold_service(self._db, self._tenant_id, service_id, *premises))

    async def rename_service(self, *, service_id: int, username: str) -> bool:
        """Another name for who logs in to a service.

        Raises:
            UsernameTaken: another service has the name, or had it.
            RequestInvalid: it is no text.
        """
        done = await renaming.rename(self._db, self._tenant_id, service_id, username)
        self._log("service renamed", done, username=username)
        return done

    async def history(self, *, pool: str, value: str, vrf: str | None = None) -> list[UnitEvent]:
        """All that has become of an address, prefix or C-VLAN, oldest first; ``vrf`` can only be the pool's.

        Raises:
            RequestInvalid: a C-VLAN that the S-VLAN doesn't have, or keeps back, and that nobody had.
        """
        known = await self._found(pool, {"value": value, "vrf": vrf})
        if vrf not in (None, known.vrf):
            raise RequestInvalid("vrf", f"is {vrf}, but pool {pool} is in {known.vrf or 'none'}")
        unit = known.unit(value).unit
        events = await history.events_of(self._db, known.numbered(unit))
        if not events and known.kind == "cvlan":
            await self._must_have(known, unit)
        return events

    async def _must_have(self, pool: KnownPool, unit: int) -> None:
        for out in await excluded_of(self._rows, pool.pool_id):
            if out.is_described and out.first <= unit <= out.last:
                what = f"{pool.value(unit)} is nothing that pool {pool.name} hands out ({out.reason})"
                raise RequestInvalid("value", what)

    async def history_of_address(self, *, address: str, vrf: str | None = None) -> list[UnitEvent]:
        """The same for any address of a pool, also one that lies in a delegated prefix, or for that prefix; with what
        was in pools that have it no longer, since they were shrunk or retired."""
        network = await history.checked(self._db, self._tenant_id, address, vrf, "value")
        events = await history.events_ever(self._db, self._tenant_id, network, vrf)
        if not events:  # what was never anybody's may be no address of a pool at all
            asked: dict[str, Any] = {"address": address, "vrf": vrf, "field": "value"}
            await history.unit_at(self._db, tenant_id=self._tenant_id, at=self._now(), **asked)
        return events

    async def _asked(self, pool: str, note: str, parts: RequestParts) -> tuple[str, KnownPool]:
        """The note and the pool, when nothing speaks against any part of what is asked for. Nobody else changes the
        network from before it is looked at: a pool that is shrunk or retired while we wait is another one, or none."""
        await self._rows.be_alone()
        known = await self._found(pool, {**parts, "note": note})
        return checked_note(note), known

    async def _found(self, pool: str, parts: RequestParts) -> KnownPool:
        await refuse_faults(self._db, self._tenant_id, {**parts, "pool": pool})
        return await find_pool(self._db, self._tenant_id, pool)

    def _log(self, event: str, done: bool, **fields: str | None) -> None:
        if done:
            log.debug(event, **fields)
