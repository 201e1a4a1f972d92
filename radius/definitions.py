"""What a plan and a NAS shall be: the part of ``RadiusService`` that is defined once and not for each subscriber."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.nas import nases, parts, removing
from radius.nas.telling import refuse_lost_lines
from radius.nas.terms import CoaTerms, NasChange, NasTerms, terms_of_nas
from radius.plans import plans
from radius.plans.looks import list_plans, plan_view, render_plan, untold
from radius.plans.terms import PlanTerms
from radius.ports import Now, Secrets
from radius.results import DefinedNas, DefinedPlan, ListedPlan, NasCoa, RenderedPlan, UntoldPlan
from radius.subscribers.password_storage import LOGIN_METHODS, PasswordStorage
from radius.tables import Nas


class Definitions:
    """Plans and NASes of one tenant, in the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now, secrets: Secrets) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets

    async def define_plan(self, *, name: str, terms: PlanTerms, pairs_later: bool = False) -> DefinedPlan:
        """Make a plan, or bring it to these terms. Rates are the subscriber's: download comes to the subscriber.
        ``pairs_later``: whether every NAS can be told it is asked at the end, by ``refuse_unsayable_pairs``.

        Raises:
            PlanRefused: a name or term that cannot be meant.
            RateNotExpressible, TermsNotExpressible, SeveralNotExpressible: a NAS in use could not be told it.
        """
        plan = await plans.define_plan(self._db, self._tenant_id, name, terms, self._now(), pairs_later=pairs_later)
        return plan_view(plan)

    async def refuse_unsayable_pairs(self) -> None:
        """After definitions with ``pairs_later``, in the same transaction.

        Raises:
            RateNotExpressible, TermsNotExpressible, SeveralNotExpressible: a NAS could not be told a plan.
        """
        await plans.refuse_unsayable_pairs(self._db, self._tenant_id)

    async def refuse_lost_lines(self, *, told_before: Sequence[str]) -> None:
        """After definitions with ``pairs_later``, in the same transaction; ``told_before`` names the NASes that told of
        lines before.

        Raises:
            NasLinesInUse: none does any more, and subscribers log in by their lines.
        """
        await refuse_lost_lines(self._db, self._tenant_id, told_before)

    async def plan(self, *, name: str) -> DefinedPlan:
        """The plan of that name, or ``PlanUnknown``."""
        return plan_view(await plans.find_plan(self._db, self._tenant_id, name))

    async def plans(self, *, after_id: int = 0, limit: int = 50) -> list[ListedPlan]:
        """Plans by their numbers, a page at a time, each with how many subscribers it has."""
        return await list_plans(self._db, self._tenant_id, after_id=after_id, limit=limit)

    async def render_plan(
        self, *, name: str, terms: PlanTerms | None = None, dialect: str | None = None
    ) -> list[RenderedPlan]:
        """What NASes are told of a plan, or would be if it had these terms; nothing is written.

        Raises:
            PlanUnknown, DialectUnknown
            PlanRefused: a name or term that cannot be meant.
        """
        if terms is None:
            terms = (await self.plan(name=name))["terms"]
        return render_plan(self._tenant_id, name, plans.meant(name, terms), dialect)

    async def untold_plans(
        self, *, plan: str | None = None, nas: str | None = None, over: str | None = None
    ) -> list[UntoldPlan]:
        """Where nobody of a plan is let in, since the NAS can't be told it (``where_untold``): of one plan, at one NAS,
        or of all plans at all NASes. ``over``: of those whom that plan, a walled garden, serves in its place.

        Raises:
            PlanUnknown: there is no such garden.
        """
        return await untold(self._db, self._tenant_id, plan=plan, nas=nas, over=over)

    async def define_nas(  # noqa: PLR0913 - each is a fact about the NAS
        self,
        *,
        name: str,
        address: str,
        dialect: str,
        coa_port: int = 3799,
        login_methods: Sequence[str] = LOGIN_METHODS,
        lines: bool = False,
        secret: str | None = None,
        coa: CoaTerms | None = None,
        calls_itself: Sequence[str] = (),
        pairs_later: bool = False,
    ) -> DefinedNas:
        """Make a NAS, or bring it to these terms. ``secret`` is what the NAS was told; without it a random one is made.
        ``login_methods`` are those by which its subscribers may log in (pap, chap, mschapv2), ``coa`` how it takes
        requests about its sessions; ``lines`` and ``calls_itself`` as of ``NasTerms``, ``pairs_later`` as of
        ``define_plan``.

        Raises:
            NasRefused: a value that cannot be meant.
            NasAddressTaken, DialectUnknown
            RateNotExpressible, TermsNotExpressible, SeveralNotExpressible: a plan could not be said in that dialect.
            NasLinesInUse: no NAS would tell of the lines by which subscribers log in.
        """
        terms = NasTerms(
            address, dialect, coa_port, tuple(login_methods), lines, coa or CoaTerms(), tuple(calls_itself)
        )
        nas = await nases.define_nas(
            self._db,
            self._tenant_id,
            name,
            terms,
            secret,
            secrets=self._secrets,
            now=self._now(),
            pairs_later=pairs_later,
        )
        return _nas_view(nas)

    async def add_nas(
        self,
        *,
        name: str,
        address: str,
        dialect: str,
        coa_port: int = 3799,
        login_methods: Sequence[str] = LOGIN_METHODS,
        lines: bool = False,
        coa: CoaTerms | None = None,
        calls_itself: Sequence[str] = (),
    ) -> tuple[DefinedNas, bool]:
        """Make a NAS with a random secret; whether it is new. The same again gives the one there is.

        Raises:
            NasNameTaken: there is one of that name on other terms.
            As ``define_nas``.
        """
        terms = NasTerms(
            address, dialect, coa_port, tuple(login_methods), lines, coa or CoaTerms(), tuple(calls_itself)
        )
        nas, is_new = await nases.add_nas(
            self._db, self._tenant_id, name, terms, secrets=self._secrets, now=self._now()
        )
        return _nas_view(nas), is_new

    async def change_nas(self, *, name: str, said: NasChange) -> tuple[DefinedNas, DefinedNas]:
        """Bring a NAS to what is said of it; the rest stays as it is, its secret too. As it was and as it is now, with
        nobody else's change between the two.

        Raises:
            NasUnknown, and as ``define_nas``.
        """
        nas = await nases.hold_nas(self._db, self._tenant_id, name)
        before = _nas_view(nas)
        changed = await nases.change_nas(self._db, nas, said, secrets=self._secrets, now=self._now())
        return before, _nas_view(changed)

    async def rotate_nas_secret(self, *, name: str) -> DefinedNas:
        """Give a NAS another random secret, or ``NasUnknown``."""
        nas = await nases.rotate_secret(self._db, self._tenant_id, name, secrets=self._secrets, now=self._now())
        return _nas_view(nas)

    async def adopt_nas(
        self, *, name: str, secret_at: Callable[[str], Awaitable[str | None]]
    ) -> tuple[DefinedNas, bool]:
        """Let a NAS have the secret by which FreeRADIUS knows it from before (``secret_to_adopt``), and take its row
        there over; whether it was not so before.

        Raises:
            NasUnknown, NothingToAdopt, RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        nas, is_new = await nases.adopt(
            self._db, self._tenant_id, name, secret_at, secrets=self._secrets, now=self._now()
        )
        return _nas_view(nas), is_new

    async def remove_nas(self, *, name: str) -> DefinedNas:
        """Remove a NAS and its secret; as it was. FreeRADIUS knows it until it is projected.

        Raises:
            NasUnknown, NasLinesInUse
        """
        nas = await nases.hold_nas(self._db, self._tenant_id, name)
        before = _nas_view(nas)
        await removing.remove(self._db, nas, secrets=self._secrets, now=self._now())
        return before

    async def nas_faults_by_part(
        self, *, name: str | None, said: Mapping[str, Any], is_new: bool
    ) -> list[tuple[str, str]]:
        """What is wrong with some parts of a NAS (``NasChange``), each with its name."""
        return await parts.faults_by_part(self._db, self._tenant_id, name, said, is_new=is_new)

    async def nas_named(self, *, name: str) -> DefinedNas:
        """The NAS of that name as we want it, or ``NasUnknown``."""
        return _nas_view(await nases.nas_named(self._db, self._tenant_id, name))

    async def define_password_storage(self, *, storage: str) -> None:
        """Let FreeRADIUS keep every password as cleartext, nt or ssha2-512 from its next projection on.

        Raises:
            PasswordStorageRefused: a NAS lets its subscribers log in by what could not be checked then.
        """
        await nases.define_password_storage(self._db, self._tenant_id, storage, self._now())

    async def password_storage(self) -> PasswordStorage:
        """How FreeRADIUS keeps the passwords."""
        return await nases.password_storage(self._db, self._tenant_id)

    async def nas_list(self) -> list[DefinedNas]:
        """Every NAS as we want it, by name."""
        found = await self._db.scalars(select(Nas).where(Nas.tenant_id == self._tenant_id).order_by(Nas.name))
        return [_nas_view(nas) for nas in found]


def _nas_view(nas: Nas) -> DefinedNas:
    coa = terms_of_nas(nas).coa
    return DefinedNas(
        nas_id=nas.id,
        name=nas.name,
        address=nas.address,
        dialect=nas.dialect,
        coa_port=nas.coa_port,
        login_methods=nas.login_methods.split(),
        lines=nas.lines,
        calls_itself=nas.calls_itself.split(),
        coa=NasCoa(
            keys=[*coa.keys],
            event_timestamp=coa.event_timestamp,
            per_second=coa.per_second,
            may_end=coa.may_end,
        ),
        secret=nas.secret_ref,
        version=nas.version,
        projected=not nas.dirty,
        projected_at=nas.projected_at,
    )
