"""Mail templates as files: ``mail_templates/<name>.subject.j2``, ``<name>.text.j2`` and ``<name>.html.j2``.

A variable that is missing, unknown or unfit is named before anything is rendered; nothing is ever left blank in a mail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, meta, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from provisioning.intake import Faults

SHIPPED_TEMPLATES = Path(__file__).parent / "mail_templates"
PARTS = ("subject", "text", "html")
LONGEST_SUBJECT = 200
LONGEST_VALUE = 1000
# A sealed secret's name; in a mail it is a mistake of whoever wired the journey, and a password would be a worse one.
SECRET_REFERENCE = "secret:"  # noqa: S105 - the prefix of a reference, no secret itself


@dataclass(frozen=True)
class RenderedMail:
    """One mail, as text and as HTML, with nothing left to fill in."""

    subject: str
    text: str
    html: str


class MailTemplates:
    """The templates of one folder; ``given`` are the variables that every one of them may use (the ISP's name)."""

    def __init__(self, given: Mapping[str, str], folder: Path = SHIPPED_TEMPLATES) -> None:
        self._folder = folder
        self._given = dict(given)
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def names(self) -> list[str]:
        """Templates that have all three parts."""
        complete = (path.name.removesuffix(".subject.j2") for path in self._folder.glob("*.subject.j2"))
        return sorted(name for name in complete if all(self._path(name, part).is_file() for part in PARTS))

    def variables(self, name: str) -> frozenset[str]:
        """What a caller must give to the template ``name``."""
        found: set[str] = set()
        for part in PARTS:
            source = self._path(name, part).read_text(encoding="utf-8")
            found |= meta.find_undeclared_variables(self._environment.parse(source))
        return frozenset(found - self._given.keys())

    def render(self, name: str, variables: Mapping[str, object], faults: Faults) -> RenderedMail | None:
        """The mail as it will be sent. What is wrong goes to ``faults``, and then there is no mail."""
        if name not in self.names():
            faults.add("template", f"{name} doesn't exist; there are: {', '.join(self.names())}")
            return None
        wanted = self.variables(name)
        sound = _no_secret_nor_control(variables, faults)
        for missing in sorted(wanted - variables.keys()):
            faults.add(f"variables.{missing}", "is missing")
            sound = False
        for unknown in sorted(variables.keys() - wanted):
            faults.add(f"variables.{unknown}", f"isn't used by the template {name}")
            sound = False
        return self._rendered(name, variables, faults) if sound else None

    def _rendered(self, name: str, variables: Mapping[str, object], faults: Faults) -> RenderedMail | None:
        parts: dict[str, str] = {}
        for part in PARTS:
            try:
                template = self._environment.get_template(f"{name}.{part}.j2", globals=self._given)
                parts[part] = template.render(variables)
            except TemplateError as exc:
                faults.add("variables", f"don't fit {name}.{part}: {exc}")
        if len(parts) < len(PARTS):
            return None
        subject = faults.line("subject", parts["subject"], longest=LONGEST_SUBJECT)
        return RenderedMail(subject=subject, text=parts["text"], html=parts["html"])

    def _path(self, name: str, part: str) -> Path:
        return self._folder / f"{name}.{part}.j2"


def _no_secret_nor_control(variables: Mapping[str, object], faults: Faults) -> bool:
    sound = True
    for name, value in _leaves("variables", variables):
        if value is None:
            faults.add(name, "is empty")
            sound = False
        elif isinstance(value, str):
            if value.startswith(SECRET_REFERENCE):
                faults.add(name, "refers to a secret, and secrets are not mailed")
                sound = False
            elif faults.line(name, value, longest=LONGEST_VALUE) == "":
                sound = False
    return sound


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Every single value in a variable, with its path: an order's lines hide text as well as a name does."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(f"{name}[{index}]", inner)
    else:
        yield name, value
