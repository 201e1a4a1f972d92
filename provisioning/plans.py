"""Plans that are read from a file or a request: what FreeRADIUS tells NASes of a rate."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from provisioning.errors import Fault, InvalidRequest
from provisioning.estate_radius import RateSpec
from provisioning.intake import faults_of
from provisioning.json_files import read_json
from radius import plan_faults
from workflows import sound_parts

WELL_FORMED = {"plan": "plan", "download_kbps": 1, "upload_kbps": 1}
"""What a plan can't be without, for whatever of it nobody could read."""


def read_plan(path: Path) -> RateSpec:
    """One plan, as TOML or (``.json``) as JSON: the terms of a ``[[rate]]`` of the estate, at the top of the file.

    Raises: InvalidRequest naming every fault of the file and where it stands; where some of it is malformed, also what
    can't be meant of the rest.
    """
    what = f"The plan {path.name}"
    said = read_json(path, what) if path.suffix == ".json" else _toml(path, what)
    try:
        return RateSpec.model_validate(said)
    except ValidationError as error:
        raise InvalidRequest(what, [*faults_of(error, whole="plan", model=RateSpec), *_beside(said, error)]) from error


def _beside(said: Any, error: ValidationError) -> list[Fault]:
    """What is wrong with the terms that are well formed."""
    rest = RateSpec.model_validate(WELL_FORMED | sound_parts(said, error))
    malformed = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
    name = None if "plan" in malformed else rest.plan
    return [Fault("plan", fault) for fault in plan_faults(name, rest.terms, unknown=malformed)]


def _toml(path: Path, what: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(what, [Fault(str(path), error.strerror or "can't be read")]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRequest(what, [Fault(str(path), f"is not TOML: {error}")]) from error
