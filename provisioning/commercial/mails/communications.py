"""communications_service: mails are rendered and kept in the outbox with the work they belong to; delivery follows.

``CommunicationsService`` only writes the outbox, so a mail commits or vanishes together with what caused it.
``provisioning.commercial.mails.delivery`` hands it to the mail server afterwards.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.errors import MailAlreadySent, MailUnknown, MailWithdrawn
from provisioning.commercial.mails.rendering import MailTemplates, RenderedMail
from provisioning.commercial.mails.wording import IssuedLink
from provisioning.commercial.tables import Mail
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from provisioning.languages import is_language_tag
from provisioning.links import SignedLinks
from workflows.answers import LinkTo
from workflows.services import QueuedEmail

LONGEST_REASON = 500


class CommunicationsService:
    """Puts mails into the outbox. Writes only ``db``; the caller commits.

    ``sender`` is the address that mails come from: its domain ends every Message-ID.
    """

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        sender: str,
        templates: MailTemplates,
        links: SignedLinks,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._domain = sender.rpartition("@")[2]
        self._templates = templates
        self._links = links

    async def send_template_email(
        self,
        *,
        template: str,
        recipient: str,
        variables: Mapping[str, Any],
        language: str | None = None,
        unattended: bool = False,
        request_id: str | None = None,
    ) -> QueuedEmail:
        """Render this template for this recipient and queue it, in this language (BCP 47) or the ISP's own.

        A variable that is a `LinkTo` becomes the address of a one-time link. The same request is the same mail, under
        the same Message-ID, whatever state it has reached since; without a request id, every call is a mail of its own.
        ``unattended``: no run waits for its delivery, so the worker sends it.

        Raises: InvalidRequest (template, recipient, language and variables: all faults), RequestConflict,
        MailWithdrawn, ChangeRaced.
        """
        faults = Faults("The mail")
        request = f"mail/{secrets.token_hex(16)}" if request_id is None else faults.line("request_id", request_id)
        to = faults.email("recipient", recipient)
        digest = _digest(template, to, variables, language)
        # Its links may have expired since: what was written once is not written anew to be compared.
        if faults.count == 0 and (queued := await self._queued(request, digest)) is not None:
            return queued
        written = await self._with_links(variables, faults, language)
        rendered = self._templates.render(template, written, faults, language=language)
        faults.refuse_if_any()
        assert rendered is not None, "a mail that could not be rendered has left a fault"
        try:
            async with self._db.begin_nested():
                row = await self._insert(request, template, to, digest, rendered, unattended=unattended)
        except IntegrityError as exc:
            if (queued := await self._queued(request, digest)) is not None:
                return queued
            raise ChangeRaced from exc
        return _queued_email(row)

    async def has_links(self) -> bool:
        """Whether a mail can hold a one-time link: customers must be able to reach this appliance."""
        return self._links.lead_here

    async def withdraw_email(self, *, email_id: int, reason: str) -> QueuedEmail:
        """Take a mail back that no server is known to have taken: it isn't sent any more, and stays as history.

        A mail whose delivery is unknown may have arrived all the same.

        Raises: InvalidRequest, MailUnknown, MailAlreadySent.
        """
        faults = Faults("The withdrawal of a mail")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await self._db.scalar(
            select(Mail)
            .where(Mail.tenant_id == self._tenant_id, Mail.id == email_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise MailUnknown(email_id)
        if row.state == "sent":
            raise MailAlreadySent(email_id, row.recipient)
        if row.state != "withdrawn":
            row.state = "withdrawn"
            row.reason = why
            await self._db.flush()  # a later question in this transaction must find it withdrawn
        return _queued_email(row)

    async def withdraw_unsent_email(self, *, email_id: int, reason: str) -> QueuedEmail:
        """Undo of ``send_template_email``: a mail that is still ours is withdrawn; one that was sent stays sent.

        Raises: InvalidRequest, MailUnknown.
        """
        try:
            return await self.withdraw_email(email_id=email_id, reason=reason)
        except MailAlreadySent:
            row = await self._db.get(Mail, email_id)
            assert row is not None, "it was found a moment ago, and mails are never deleted"
            return _queued_email(row)

    async def _with_links(self, variables: Mapping[str, Any], faults: Faults, language: str | None) -> dict[str, Any]:
        """The variables with a new link in the place of each wish for one; its page speaks the mail's language."""
        spoken = language if language is not None and is_language_tag(language) else None
        written = dict(variables)
        for name, value in variables.items():
            if isinstance(value, LinkTo):
                before = faults.count
                self._links.look_at(f"variables.{name}", value, faults)
                url = await self._links.issue(self._db, value, language=spoken) if faults.count == before else "refused"
                written[name] = IssuedLink(url, value.expires_at)
        return written

    async def _queued(self, request_id: str, digest: str) -> QueuedEmail | None:
        row = await self._db.scalar(
            select(Mail)
            .where(Mail.tenant_id == self._tenant_id, Mail.request_id == request_id)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        if row.variables_digest != digest:
            raise RequestConflict(request_id, f"mail {row.id}")
        if row.state == "withdrawn":
            raise MailWithdrawn(row.id, row.reason)
        return _queued_email(row)

    async def _insert(
        self, request_id: str, template: str, to: str, digest: str, rendered: RenderedMail, *, unattended: bool
    ) -> Mail:
        row: Mail | None = await self._db.scalar(
            insert(Mail)
            .values(
                tenant_id=self._tenant_id,
                request_id=request_id,
                message_id=message_id_of(self._tenant_id, request_id, self._domain),
                template=template,
                language=rendered.language,
                recipient=to,
                variables_digest=digest,
                subject=rendered.subject,
                text=rendered.text,
                html=rendered.html,
                state="queued",
                queued_at=self._now(),
                next_try_at=self._now() if unattended else None,
                attempts=0,
            )
            .returning(Mail)
        )
        assert row is not None
        return row


def message_id_of(tenant_id: str, request_id: str, domain: str) -> str:
    """The one Message-ID of this request's mail (RFC 5322 s3.6.4), so that a mail sent twice is seen as one."""
    return f"<{message_id_stem(tenant_id, request_id)}@{domain}>"


def message_id_stem(tenant_id: str, request_id: str) -> str:
    """What stands before the @: it tells the request, not the tenant or the customer."""
    return hashlib.sha256(f"{tenant_id}\n{request_id}".encode()).hexdigest()[:40]


def _digest(template: str, recipient: str, variables: Mapping[str, Any], language: str | None) -> str:
    wish = [template, recipient, dict(variables), *([language] if language else [])]
    return hashlib.sha256(json.dumps(wish, sort_keys=True, default=str).encode()).hexdigest()


def _queued_email(row: Mail) -> QueuedEmail:
    return QueuedEmail(
        email_id=row.id,
        message_id=row.message_id,
        template=row.template,
        recipient=row.recipient,
        state=row.state,
    )
