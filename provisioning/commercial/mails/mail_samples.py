"""Looking at a mail before it is sent, with the sample that stands beside it: ``mail_templates/samples/<name>.json``.

JSON knows neither dates nor links, so a variable is read as its template asks for it: ``"2026-03-02"`` is a day,
``"2026-03-09T09:00:00Z"`` a moment, ``{"link": "accept_quote/17", "expires_at": ...}`` a link, which in a preview leads
nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from provisioning.commercial.mails.mail_variables import MailVariable
from provisioning.commercial.mails.rendering import SHIPPED_TEMPLATES, MailTemplates, RenderedMail
from provisioning.commercial.mails.wording import IssuedLink
from provisioning.intake import Faults

LEADS_NOWHERE = "https://isp.example/links/this-is-a-preview"


@dataclass(frozen=True)
class MailSample:
    """``about``: one sentence on what the mail is for. ``variables`` as JSON has them."""

    about: str
    variables: dict[str, Any]


class MailTemplate(TypedDict):
    """One mail there is."""

    template: str
    about: str
    languages: list[str]
    variables: list[MailVariable]
    sample: dict[str, Any]


class MailPreview:
    """Shows mails as they would be sent."""

    def __init__(self, templates: MailTemplates) -> None:
        self._templates = templates

    def names(self) -> list[str]:
        return self._templates.names()

    def template(self, name: str) -> MailTemplate:
        """What this mail is for and what it is told. ``name``: one of ``names()``."""
        languages = self._templates.languages(name)
        sample = read_sample(name)
        return MailTemplate(
            template=name,
            about=sample.about,
            languages=languages,
            variables=list(self._templates.variables(name, languages[0]).values()),
            sample=sample.variables,
        )

    def preview(
        self, name: str, variables: Mapping[str, Any] | None = None, *, language: str | None = None
    ) -> RenderedMail:
        """The mail with these variables, as JSON has them, or with those of its sample.

        Raises: InvalidRequest with every fault.
        """
        faults = Faults("The preview")
        given: Mapping[str, Any] = variables or {}
        if name in self.names():
            given = read_sample(name).variables if variables is None else variables
            given = as_asked(given, self._templates.variables(name, self._templates.languages(name)[0]), faults)
        mail = self._templates.render(name, given, faults, language=language)
        faults.refuse_if_any()
        assert mail is not None, "a mail that could not be rendered has left a fault"
        return mail


def read_sample(name: str, folder: Path = SHIPPED_TEMPLATES) -> MailSample:
    """The sample of a shipped mail."""
    return MailSample(**json.loads((folder / "samples" / f"{name}.json").read_text(encoding="utf-8")))


def as_asked(variables: Mapping[str, Any], asked: Mapping[str, MailVariable], faults: Faults) -> dict[str, object]:
    """Variables out of JSON as the mail's templates take them. What can't be read goes to ``faults``."""
    return {
        name: _read(f"variables.{name}", value, asked[name], faults) if name in asked else value
        for name, value in variables.items()
    }


def _read(where: str, value: Any, variable: MailVariable, faults: Faults) -> object:
    try:
        match variable.kind:
            case "day":
                return _day(str(value))
            case "moment":
                return _moment(str(value))
            case "link":
                return IssuedLink(LEADS_NOWHERE, _moment(value["expires_at"]))
            case "list":
                parts = {part.name: part for part in variable.parts}
                return [as_asked(item, parts, faults) if isinstance(item, Mapping) else item for item in value]
            case _:
                return value
    except (ValueError, TypeError, KeyError):
        faults.add(where, f"is not a {variable.kind}, as JSON writes it in the sample of this mail")
        return value


def _day(text: str) -> date:
    return date.fromisoformat(text) if "T" not in text else _moment(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
