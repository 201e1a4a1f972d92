"""All settings as one, read from the environment; every fault of theirs is told at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url

from provisioning.errors import Fault, ProvisioningError
from provisioning.settings.acs import Acs
from provisioning.settings.freeradius import FreeRadius
from provisioning.settings.line import Line
from provisioning.settings.messages import Messages
from provisioning.settings.selling import Selling
from provisioning.settings.storage import Storage
from provisioning.settings.surroundings import Surroundings
from provisioning.settings.values import PREFIX
from provisioning.settings.waiting import Waiting

OTHERS_PREFIXES: Final = ("FIRSTLIGHT_FREERADIUS_", "FIRSTLIGHT_TEST_")
"""Variables that FreeRADIUS' own configuration and the test harness read; no setting begins like these."""


class SettingsRefused(ProvisioningError):
    """The settings can't be used."""

    code = "provisioning.settings_refused"
    what = "The configuration"

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        count = "1 setting is" if len(faults) == 1 else f"{len(faults)} settings are"
        super().__init__(f"{count} wrong, nothing was started: {'; '.join(f'{f.field}: {f.reason}' for f in faults)}.")


class Settings(Waiting, Selling, Messages, Line, Acs, Surroundings, FreeRadius, Storage, BaseSettings):
    """Everything an operator can set, checked. Plain values only; a file named here has been found readable.

    Pydantic reads the fields of the last class first, and so does the table of ``docs/settings.md``.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    def shown(self) -> dict[str, str]:
        """Each variable and its value in force, with passwords of database addresses hidden."""
        values = {_variable(name): getattr(self, name) for name in type(self).model_fields}
        for name in ("database_url", "radius_database_url"):
            values[_variable(name)] = make_url(getattr(self, name)).render_as_string(hide_password=True)
        return {variable: "" if value is None else str(value) for variable, value in values.items()}


def load_settings(**overrides: Any) -> Settings:
    """The settings in force: keyword arguments, else the environment, else the defaults.

    Raises:
        SettingsRefused: with every wrong value and every unknown ``FIRSTLIGHT_`` variable at once.
    """
    faults = list(_unknown_variables())
    try:
        settings = Settings(**overrides)
    except ValidationError as exc:
        # A default that is derived from a wrong value is not a second fault.
        derived = "default_factory_not_called"
        faults += [_fault(error["loc"], error["msg"]) for error in exc.errors() if error["type"] != derived]
        raise SettingsRefused(faults) from None  # its text could hold a password
    if faults:
        raise SettingsRefused(faults)
    return settings


def freeradius_variables() -> dict[str, str]:
    """What FreeRADIUS' own configuration would find in this process' environment."""
    return {name: value for name, value in os.environ.items() if name.startswith(OTHERS_PREFIXES[0])}


def render_settings_table() -> str:
    """The Markdown table of ``docs/settings.md``: variable, meaning, default."""
    rows = ["| variable | meaning | default |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = extra.get("default", f"`{field.default}`")
        rows.append(f"| `{_variable(name)}` | {field.description} | {default} |")
    return "\n".join(rows) + "\n"


def _unknown_variables() -> Iterator[Fault]:
    from radius import known_are, meant  # most commands have no such fault, and start sooner without it

    known = sorted(name.upper() for name in Settings.model_fields)
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and not name.startswith(OTHERS_PREFIXES) and name not in map(_variable, known):
            own = name.removeprefix(PREFIX)  # what all begin with makes none alike
            close = meant(own, known)
            instead = known_are(name, [*map(_variable, known)]) if close is None else f"did you mean {PREFIX}{close}?"
            yield Fault(name, f"is not a setting; {instead}")


def _fault(where: tuple[int | str, ...], message: str) -> Fault:
    inner = "".join(f"{part}: " for part in where[1:])
    reason = re.sub(r"^Value error, ", "", message).replace("Input should", "must", 1)
    return Fault(_variable(str(where[0])), inner + reason)


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
