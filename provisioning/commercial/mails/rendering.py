"""Mail templates as files, a folder a language: ``<language>/<name>.subject.j2``, ``.text.j2`` and ``.html.j2``.

A variable that is missing, unknown or unfit is named before anything is rendered; nothing is ever left blank in a mail.
A mail comes in the language that was asked for, else in one that this is a special case of, else in the ISP's own; it
is the same mail in each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from provisioning.commercial.mails.mail_variables import MailVariable, asked_for
from provisioning.commercial.mails.wording import Wording, only_words
from provisioning.commercial.tenants.brand import Brand, read_brand
from provisioning.intake import SECRET_REFERENCE, Faults
from provisioning.languages import Choice, choose, is_language_tag, locale_of
from provisioning.templates import templates_in

SHIPPED_TEMPLATES = Path(__file__).parent / "mail_templates"
PARTS = ("subject", "text", "html")
GIVEN = frozenset({"brand_name", "brand_colour", "brand_ink", "language"})
"""What every template may use without being told."""
BRAND = "brand"
"""What every mail may be given: the ``{"name", "colour", "ink"}`` of whoever sells under a name of their own."""
LONGEST_SUBJECT = 200
LONGEST_VALUE = 1000


@dataclass(frozen=True)
class RenderedMail:
    """One mail, as text and as HTML, with nothing left to fill in. ``language`` is the folder that it came from."""

    language: str
    subject: str
    text: str
    html: str


class MailTemplates:
    """The templates of one folder, under the ISP's name, in its language unless another is asked for."""

    def __init__(
        self, *, isp_name: str, language: str = "en", time_zone: str = "UTC", folder: Path = SHIPPED_TEMPLATES
    ) -> None:
        self._isp_name = isp_name
        self._language = language
        self._zone = ZoneInfo(time_zone)
        self._folder = folder
        self._asked: dict[tuple[str, str], dict[str, MailVariable]] = {}

    @cached_property
    def _files(self) -> dict[str, frozenset[str]]:
        """By language: the mails that have all three parts in it."""
        folders = [folder for folder in sorted(self._folder.iterdir()) if is_language_tag(folder.name)]
        return {folder.name: mails for folder in folders if (mails := frozenset(_whole_mails(folder)))}

    def languages(self, name: str | None = None) -> list[str]:
        """In which languages there are mails, or is this one."""
        return [language for language, mails in self._files.items() if name is None or name in mails]

    def names(self) -> list[str]:
        """The mails there are."""
        return sorted(set().union(*self._files.values()))

    def has_default(self) -> bool:
        """Whether the ISP's own language is one there are mails in."""
        return choose(self.languages(), None, self._language) is not None

    def variables(self, name: str, language: str) -> dict[str, MailVariable]:
        """What a caller must give to the mail ``name``, as its templates in this language ask for it."""
        if (name, language) not in self._asked:
            files = [self._folder / _path(language, name, part) for part in PARTS]
            sources = [file.read_text(encoding="utf-8") for file in files]
            self._asked[name, language] = asked_for(self._environment(locale_of(language)), sources, GIVEN)
        return self._asked[name, language]

    def render(
        self, name: str, variables: Mapping[str, object], faults: Faults, *, language: str | None = None
    ) -> RenderedMail | None:
        """The mail as it will be sent. What is wrong goes to ``faults``, and then there is no mail."""
        before = faults.count
        if language is not None and not is_language_tag(language):
            faults.add("language", "is not a language such as de or de-AT")
            language = None
        chosen = choose(self.languages(name), language, self._language)
        if chosen is None:
            faults.add("template", self._why_not_found(name, language))
            return None
        wanted = self.variables(name, chosen.language)
        _no_secret_nor_control(variables, faults)
        for missing in sorted(key for key, each in wanted.items() if not each.optional and key not in variables):
            faults.add(f"variables.{missing}", "is missing")
        for unknown in sorted(variables.keys() - wanted.keys() - {BRAND}):
            faults.add(f"variables.{unknown}", f"isn't used by the template {name}")
        brand = read_brand(variables.get(BRAND), self._isp_name, faults)
        unreadable = any(fault.field.startswith("variables.") for fault in faults.all)  # its kind is told already
        if brand is None or unreadable or faults.count > before:
            return None
        return self._rendered(_Wish(name, chosen, brand), variables, faults)

    def _why_not_found(self, name: str, language: str | None) -> str:
        wanted = " or ".join(wish for wish in (language, self._language) if wish)
        there_are = [f"{each} ({', '.join(self.languages(each))})" for each in self.names()]
        return f"{name} doesn't exist in {wanted}; there are: {', '.join(there_are)}"

    def _rendered(self, wish: _Wish, variables: Mapping[str, object], faults: Faults) -> RenderedMail | None:
        environment = self._environment(locale_of(wish.spoken.asked_as))
        given = {**wish.brand.given(), "language": wish.spoken.asked_as}
        parts: dict[str, str] = {}
        for part in PARTS:
            try:
                template = environment.get_template(_path(wish.spoken.language, wish.name, part))
                parts[part] = template.render({**variables, **given})
            except (TemplateError, ArithmeticError, TypeError, ValueError) as exc:  # a value of no kind it can show
                faults.add("variables", f"don't fit {wish.name}.{part}: {exc}")
        if len(parts) < len(PARTS):
            return None
        subject = faults.line("subject", parts["subject"], longest=LONGEST_SUBJECT)
        return RenderedMail(language=wish.spoken.language, subject=subject, text=parts["text"], html=parts["html"])

    def _environment(self, locale: Locale) -> ImmutableSandboxedEnvironment:
        return _environment_of(self._folder, locale, self._zone)


@cache
def _environment_of(folder: Path, locale: Locale, zone: ZoneInfo) -> ImmutableSandboxedEnvironment:
    """Made once in a process: compiling a mail's templates takes longer than all else about it."""
    environment = templates_in(folder, finalize=only_words)
    environment.filters.update(Wording(locale, zone).filters())
    return environment


@dataclass(frozen=True)
class _Wish:
    name: str
    spoken: Choice
    brand: Brand


def _path(language: str, name: str, part: str) -> str:
    return f"{language}/{name}.{part}.j2"


def _whole_mails(folder: Path) -> Iterator[str]:
    for file in folder.glob("*.subject.j2"):
        name = file.name.removesuffix(".subject.j2")
        if all((folder / f"{name}.{part}.j2").is_file() for part in PARTS):
            yield name


def _no_secret_nor_control(variables: Mapping[str, object], faults: Faults) -> None:
    for name, value in leaves("variables", variables):
        if value is None:
            faults.add(name, "is empty")
        elif isinstance(value, str) and value.startswith(SECRET_REFERENCE):
            faults.add(name, "refers to a secret, and secrets are not mailed")
        elif isinstance(value, str):
            faults.line(name, value, longest=LONGEST_VALUE)


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every single value in a variable, with its path: an order's lines hide text as well as a name does."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from leaves(f"{name}[{index}]", inner)
    else:
        yield name, value
