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


def read_plan(path: Path) -> RateSpec:
    """One plan, as TOML or (``.json``) as JSON: the terms of a ``[[rate]]`` of the estate, at the top of the file.

    Raises: InvalidRequest naming every fault of the file and where it stands.
    """
    what = f"The plan {path.name}"
    said = read_json(path, what) if path.suffix == ".json" else _toml(path, what)
    try:
        return RateSpec.model_validate(said)
    except ValidationError as error:
        raise InvalidRequest(what, faults_of(error, whole="plan")) from error


def _toml(path: Path, what: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(what, [Fault(str(path), error.strerror or "can't be read")]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRequest(what, [Fault(str(path), f"is not TOML: {error}")]) from error
