"""Looks whether the DNS of a host name holds its proof, or still holds it. No transaction is open while it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.partners.domain_errors import DomainOfAnother, DomainUnproven, DomainUnresolved
from provisioning.commercial.partners.domain_records import PATIENCE, DomainPatience, DomainRecord
from provisioning.commercial.partners.partner_domains import PartnerDomains
from provisioning.commercial.publishing import PublishEvent
from provisioning.intake import Clock

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

LOOKUP_SECONDS = 5.0
AT_ONCE = 8
BY = "clock"
"""Names whose DNS doesn't answer hold up the others for that long times a round's looks, by so many at once."""

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Texts = Callable[[str], Awaitable[tuple[str, ...]]]
"""The TXT records of a name, none where there is no such name. Raises: DomainUnresolved."""

log = structlog.get_logger(__name__)


class DomainProofs:
    """The proofs of one ISP's partners. Safe to repeat; each name is looked at in transactions of its own."""

    def __init__(
        self,
        begin: Begin,
        *,
        tenant_id: str,
        now: Clock,
        texts: Texts,
        publish: PublishEvent,
        patience: DomainPatience = PATIENCE,
    ) -> None:
        self._begin = begin
        self._tenant_id = tenant_id
        self._now = now
        self._texts = texts
        self._publish = publish
        self._patience = patience

    async def look(self) -> int:
        """Looks at the names that are due, a few at a time; how many claims are proven by that. A DNS that does not
        answer says nothing: what was proven stays so.

        Each is tried; what went wrong with one is raised when all have been.
        """
        async with self._begin() as db:
            due = await self._domains(db).due()
        turn = asyncio.Semaphore(AT_ONCE)

        async def look_at(claim: DomainRecord) -> bool:
            async with turn:
                return await self._is_proven_now(claim)

        outcomes = await asyncio.gather(*map(look_at, due), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return outcomes.count(True)

    async def _is_proven_now(self, claim: DomainRecord) -> bool:
        try:
            noted = await self._look_at(claim)
        except DomainUnresolved as error:
            await self._note(claim, fault=f"the DNS did not answer: {error.reason}")
        except DomainOfAnother:
            await self._note(claim, fault="it is proven to be another partner's")
        else:
            return claim["proven_at"] is None and noted is not None and noted["proven_at"] is not None
        return False

    async def prove(self, *, partner_id: int, domain: str) -> DomainRecord:
        """Looks at one name now, also at one that is proven.

        Raises: DomainUnknown, DomainUnproven (with what is missing), DomainUnresolved, DomainOfAnother.
        """
        async with self._begin() as db:
            claim = await self._domains(db).domain(partner_id, domain)
        noted = await self._look_at(claim)
        if noted is None or noted["state"] != "proven":
            raise DomainUnproven(partner_id, domain, noted)
        return noted

    async def _look_at(self, before: DomainRecord) -> DomainRecord | None:
        texts = await self._texts(before["txt_name"])
        async with self._begin() as db:
            noted = await self._domains(db).note(before["domain_id"], texts=texts)
            if noted is not None:
                await self._tell(db, before, noted)
        return noted

    async def _tell(self, db: AsyncSession, before: DomainRecord, noted: DomainRecord) -> None:
        """What has become of a proof. Two looks at the same time tell it once: the key is of when it began."""
        was, state = before["state"], noted["state"]
        if state in (was, "claimed"):
            return
        name = {"partner_id": noted["partner_id"], "domain": noted["domain"]}
        log.info("proof of a host name", **name, state=state, was=was)
        since = before["missing_since"] or noted["missing_since"]
        if since is None:
            return
        kind = "found_again" if state == "proven" else state
        subject = f"partner_domain/{noted['domain_id']}"
        said = {"domain_id": noted["domain_id"], **name, "missing_since": since.isoformat()}
        await self._publish(db, f"partner.domain_{kind}", subject, said, f"{subject}/{kind}/{since.isoformat()}", BY)

    async def _note(self, claim: DomainRecord, *, fault: str) -> None:
        async with self._begin() as db:
            await self._domains(db).note(claim["domain_id"], fault=fault)

    def _domains(self, db: AsyncSession) -> PartnerDomains:
        return PartnerDomains(db, tenant_id=self._tenant_id, now=self._now, patience=self._patience)


async def txt_records(name: str, *, resolver: Resolver | None = None) -> tuple[str, ...]:
    """The TXT records of a name by the machine's own resolvers (RFC 1035 s3.3.14); their strings joined.

    Raises: DomainUnresolved (no answer, a fault of the DNS, no resolver: never "there is none").
    """
    # The library takes its time to load, which a command that asks nothing needn't wait for.
    from dns.asyncresolver import Resolver as SystemResolver
    from dns.exception import DNSException
    from dns.resolver import NXDOMAIN, NoAnswer

    try:
        asked = resolver or SystemResolver()
        answer = await asked.resolve(name, "TXT", lifetime=LOOKUP_SECONDS, search=False)
    except (NXDOMAIN, NoAnswer):
        return ()
    except (DNSException, OSError) as error:
        raise DomainUnresolved(name, type(error).__name__) from error
    return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in answer)
