"""A journey's mails: each is put into the outbox in one commit, and then handed to the mail server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from workflows.definitions.kit import step
from workflows.engine.definition import Definition
from workflows.engine.run import Run
from workflows.engine.steps import Act, NothingToUndo, RetryPolicy
from workflows.services import DeliveredEmail, Outside, QueuedEmail, Services


@dataclass(frozen=True)
class Letter:
    """What is to be mailed, to whom and in which language (None: the ISP's own).

    ``variables`` are exactly those that the template knows.
    """

    template: str
    recipient: str
    language: str | None
    variables: Mapping[str, Any]


WRITTEN_ANEW = "it is written anew"
"""Why a mail is withdrawn of which the journey isn't undone: it goes back, and writes once more."""

Compose = Callable[[Services, Run[Any]], Awaitable[Letter]]


def mail_step_names(definitions: Iterable[Definition[Any]]) -> set[str]:
    """The steps that put a mail into the outbox: one a round, under the step's own key."""
    steps = (step for definition in definitions for step in definition.steps)
    return {step.name for step in steps if isinstance(step, Act) and _answers_a_mail(step)}


def _answers_a_mail(act: Act[Any, Any]) -> bool:
    return get_type_hints(act.do).get("return") is QueuedEmail


def mail_steps(
    compose: Compose,
    *,
    undone_because: str | None,
    send: str = "send_template_email",
    deliver: str = "deliver_email",
    when: Callable[[Run[Any]], bool] | None = None,
    otherwise: str = "",
    patience: tuple[str, ...] = (),
) -> tuple[Act[Any, QueuedEmail], Act[Any, DeliveredEmail]]:
    """The two steps of one mail, under these names: it is queued, and then it is delivered.

    ``undone_because`` is the reason that a mail which was withdrawn in time carries; None where nothing is undone any
    more. With ``when``, both are skipped together, and ``otherwise`` says why; it is asked once, before the mail is
    queued.
    """

    async def withdraw_unsent_email(services: Services, run: Run[Any], queued: QueuedEmail) -> None:
        assert undone_because is not None, "or this undo is not declared"
        reason = WRITTEN_ANEW if run.is_going_back else undone_because
        await services.communications_service.withdraw_unsent_email(email_id=queued["email_id"], reason=reason)

    async def queue(services: Services, run: Run[Any]) -> QueuedEmail:
        letter = await compose(services, run)
        return await services.communications_service.send_template_email(
            template=letter.template,
            recipient=letter.recipient,
            variables=letter.variables,
            language=letter.language,
            request_id=run.key(sending),
        )

    async def hand_over(outside: Outside, run: Run[Any]) -> DeliveredEmail:
        return await outside.mail.deliver(run[sending]["email_id"])

    queue.__name__, hand_over.__name__ = send, deliver
    undo = NothingToUndo("there is no return from here") if undone_because is None else withdraw_unsent_email
    sending = step.transactional(undo=undo, when=when, otherwise=otherwise, patience=patience)(queue)
    # The mail server may take ten minutes to look at what it was given (RFC 5321 s4.5.3.2.6), and minutes before that.
    delivering = step.blind(
        undo=NothingToUndo("a delivered mail can't be taken back"),
        retry=RetryPolicy(attempts=12),
        timeout_seconds=840,
        when=when and (lambda run: run.done(sending)),
        otherwise=otherwise,
    )(hand_over)
    return sending, delivering
