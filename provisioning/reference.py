"""What the documentation says of commands, errors, invariants, mails and the contract, made from the code itself.

``make docs`` writes these parts into ``docs/``; ``tests/test_docs.py`` compares the two.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from typer.main import get_command

import acs
import ipam
import provisioning
import radius
import workflows
from acs import AcsError
from ipam import IpamError
from provisioning.access import PERMISSIONS, ROLES
from provisioning.check import every_invariant
from provisioning.cli import app
from provisioning.commercial import MailPreview, MailTemplates
from provisioning.commercial.mails.mail_variables import MailVariable
from provisioning.contract_reference import render_contract
from provisioning.errors import ProvisioningError
from provisioning.settings import render_settings_table
from radius import RadiusError
from workflows import CODES_OF_THE_ENGINE, WorkflowError, render_journeys

PACKAGES = (acs, ipam, provisioning, radius, workflows)
ROOTS: tuple[type[Exception], ...] = (AcsError, IpamError, ProvisioningError, RadiusError, WorkflowError)


def parts() -> dict[str, str]:
    """Of each document its written part."""
    return {
        "settings": render_settings_table(),
        "commands": render_commands(),
        "errors": render_errors(),
        "invariants": render_invariants(),
        "mails": render_mails(),
        "contract": render_contract(),
        "journeys": render_journeys(),
        "api": render_roles(),
    }


# -- commands ----------------------------------------------------------------------------------------------------------


def render_commands() -> str:
    """One section a command: what it does, its arguments and options."""
    sections = []
    for path, command in _commands(get_command(app), "firstlight"):
        rows = [_parameter_row(parameter) for parameter in command.params if parameter.name != "help"]
        table = ["", "| given | meaning |", "|---|---|", *rows] if rows else []
        sections.append("\n".join([f"## {path}", "", _sentence(command.help or ""), *table]))
    return "\n\n".join(sections) + "\n"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        if hasattr(inner, "commands"):
            yield from _commands(inner, f"{path} {name}")
        else:
            yield f"{path} {name}", inner


def _parameter_row(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    name = max(parameter.opts, key=len) if option else str(parameter.name).upper()
    if option and not parameter.is_flag:
        name += " " + _value_name(parameter)
    meaning = _sentence(str(getattr(parameter, "help", "") or ""))
    if parameter.required:
        meaning += " Needed."
    elif option and not parameter.is_flag and parameter.default not in (None, "") and not callable(parameter.default):
        meaning += f" Default: `{_shown(parameter.default)}`."
    if getattr(parameter, "envvar", None):
        meaning += f" Or the variable `{parameter.envvar}`."
    return f"| `{name}` | {meaning} |".replace("\n", " ")


def _value_name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.removesuffix("_")).upper()


def _shown(default: Any) -> str:
    """Paths inside of the installation are told from its folder."""
    text = str(default)
    _, inside, rest = text.partition("/deploy/examples/")
    return f"deploy/examples/{rest}" if inside else text


def _sentence(text: str) -> str:
    words = " ".join(text.split())
    return words if not words or words.endswith((".", "?", "!")) else words + "."


# -- the API -----------------------------------------------------------------------------------------------------------


def render_roles() -> str:
    """The table of permissions: which role has which."""
    rows = [
        f"| `{permission}` | " + " | ".join("yes" if permission in may else "" for may in ROLES.values()) + " |"
        for permission in sorted(PERMISSIONS)
    ]
    heading = ["| permission | " + " | ".join(ROLES) + " |", "|---" * (len(ROLES) + 1) + "|"]
    return "\n".join([*heading, *(row.replace("|  |", "| |").replace("|  |", "| |") for row in rows)]) + "\n"


# -- errors ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ErrorFacts:
    """One kind of refusal."""

    code: str
    meaning: str
    transient: bool


def every_error() -> list[ErrorFacts]:
    """Every code that an operator or a program can meet, by name. The laboratories' own are left out."""
    found = [
        ErrorFacts(kind.__dict__["code"], _default_sentence(kind), bool(getattr(kind, "transient", False)))
        for kind in error_classes()
        if "code" in kind.__dict__
    ]
    found += [ErrorFacts(code, meaning, transient) for code, (meaning, transient) in CODES_OF_THE_ENGINE.items()]
    return sorted(found, key=lambda facts: facts.code)


def _default_sentence(kind: type[Exception]) -> str:
    """The first paragraph of its docstring; what follows is for whoever catches it."""
    return _sentence((kind.__doc__ or "").strip().partition("\n\n")[0].replace("``", "`"))


def error_classes() -> list[type[Exception]]:
    """Every error of every package, once all of its modules are imported."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not _of_a_laboratory(module.name) and not module.name.startswith("provisioning.migrations."):
                importlib.import_module(module.name)
    return sorted(
        {kind for root in ROOTS for kind in _with_branches(root) if not _of_a_laboratory(kind.__module__)},
        key=lambda kind: (kind.__module__, kind.__qualname__),
    )


def _with_branches(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for branch in kind.__subclasses__():
        yield from _with_branches(branch)


def _of_a_laboratory(module: str) -> bool:
    return any(part in ("testing", "lab") for part in module.split("."))


def render_errors() -> str:
    """The table of codes."""
    rows = [
        f"| `{facts.code}` | {facts.meaning} | {'yes' if facts.transient else ''} |".replace(" |  |", " | |")
        for facts in every_error()
    ]
    return "\n".join(["| code | what has happened | tried again by itself |", "|---|---|---|", *rows]) + "\n"


# -- invariants --------------------------------------------------------------------------------------------------------


def render_invariants() -> str:
    """The table of what ``firstlight check`` asks."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in every_invariant()]
    return "\n".join(["| invariant | what must always be true |", "|---|---|", *rows]) + "\n"


# -- mails -------------------------------------------------------------------------------------------------------------

KINDS = {
    "text": "text or a whole number",
    "day": "date, or a moment on that day",
    "moment": "moment, with its time zone",
    "money": "whole minor units of `currency`",
    "address": "web address",
    "link": "one-time link (`LinkTo`)",
    "list": "list",
}


def render_mails() -> str:
    """One section a mail: what it is for, in which languages it comes, and its variables with those of its sample."""
    preview = MailPreview(MailTemplates(isp_name="isp.example"))
    sections = []
    for name in preview.names():
        mail = preview.template(name)
        rows = [row for variable in mail["variables"] for row in _mail_rows(variable, mail["sample"])]
        heading = [f"## {name}", "", f"{mail['about']} Languages: {', '.join(mail['languages'])}.", ""]
        sections.append("\n".join([*heading, "| variable | is | for example |", "|---|---|---|", *rows]))
    return "\n\n".join(sections) + "\n"


def _mail_rows(variable: MailVariable, sample: Any) -> Iterator[str]:
    given = sample[variable.name]
    meaning = KINDS[variable.kind] + ("; may be left out" if variable.optional else "")
    example = "" if variable.kind == "list" else f"`{given['link'] if variable.kind == 'link' else given}`"
    yield f"| `{variable.name}` | {meaning} | {example} |"
    for part in variable.parts:
        yield f"| `{variable.name}[].{part.name}` | {KINDS[part.kind]} | `{given[0][part.name]}` |"
