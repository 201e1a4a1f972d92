"""The lab as JSON and back: the ACS's documents, every CPE's truth, and the time of a virtual clock.

What was under way begins anew after `restore`: a rebooting CPE boots, a transfer starts again. Open sessions are cut.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from acs.testing.clock import LabClock
from acs.testing.cpe import LabCpe
from acs.testing.cpe_network import TransferResult
from acs.testing.cpe_rpcs import CpeRpcs
from acs.testing.documents import COLLECTIONS
from acs.testing.errors import LabRefused
from acs.testing.parameter_tree import Parameter
from acs.testing.quirks import Quirks

if TYPE_CHECKING:
    from acs.testing.server import LabAcs

_FORMAT = 1
_INSTANT = "$instant"


def take(lab: LabAcs) -> dict[str, Any]:
    """Everything that a lab needs to go on elsewhere. Holds secrets in clear: it is the outside world itself."""
    documents = lab.documents.dump()
    documents["locks"] = []
    content = {
        "format": _FORMAT,
        "now": lab.clock.now(),
        "documents": documents,
        "cpes": [_dump_cpe(cpe) for cpe in lab.cpes.values()],
        "happenings": [vars(one) for one in lab.happenings],
    }
    encoded: dict[str, Any] = _encode(content)
    return encoded


def put_back(lab: LabAcs, data: Mapping[str, Any]) -> None:
    """Fill a lab that has no CPEs yet; the CPEs that were powered go on informing.

    Raises: LabRefused when the lab isn't empty or the format is another one.
    """
    if lab.cpes or data.get("format") != _FORMAT:
        raise LabRefused("a snapshot of format 1 goes into a lab without CPEs")
    content = _decode(dict(data))
    if isinstance(lab.clock, LabClock):
        lab.clock.set(content["now"])
    lab.documents.load({name: content["documents"].get(name, []) for name in COLLECTIONS})
    lab.remember(content["happenings"])
    for dumped in content["cpes"]:
        _load_cpe(lab, dumped)


def _dump_cpe(cpe: LabCpe) -> dict[str, Any]:
    return {
        "serial": cpe.serial,
        "identity": {
            "oui": cpe.oui,
            "product_class": cpe.product_class,
            "manufacturer": cpe.manufacturer,
            "data_model": cpe.data_model,
            "inform_interval_seconds": cpe.factory_inform_interval_seconds,
            "line_up": cpe.line_up,
        },
        "model": cpe.model,
        "parameters": {path: dataclasses.asdict(one) for path, one in cpe.extra_parameters.items()},
        "quirks": cpe.quirks.dump(),
        "tree": cpe.tree.dump(),
        "powered": cpe.powered,
        "rebooting": cpe.rebooting,
        "bootstrapped": cpe.bootstrapped,
        "booted_at": cpe.booted_at,
        "pending_events": list(cpe.pending_events),
        "staged": dict(cpe.staged),
        "transferring": dict(cpe.transferring),
        "transfers": [dataclasses.asdict(one) for one in cpe.transfers],
    }


def _load_cpe(lab: LabAcs, dumped: dict[str, Any]) -> None:
    further = {
        **dumped["identity"],
        "quirks": Quirks.load(dumped["quirks"]),
        "parameters": {path: Parameter(**one) for path, one in dumped["parameters"].items()},
    }
    model = dumped.get("model")
    cpe = LabCpe(dumped["serial"], **further) if model is None else LabCpe.of_model(dumped["serial"], model, **further)
    lab.attach(cpe)
    cpe.tree.load(dumped["tree"])
    for name in ("powered", "bootstrapped", "booted_at", "pending_events", "staged"):
        setattr(cpe, name, dumped[name])
    cpe.transferring = {key: (str(one[0]), str(one[1])) for key, one in dumped["transferring"].items()}
    cpe.transfers = [TransferResult(**one) for one in dumped["transfers"]]
    for command_key in cpe.transferring:
        lab.spawn(CpeRpcs(cpe).transfer(command_key))
    if dumped["rebooting"]:
        cpe.reboot()
    else:
        cpe.timers.restart()


def _encode(value: object) -> Any:
    if isinstance(value, datetime):
        return {_INSTANT: value.isoformat()}
    if isinstance(value, Mapping):
        return {str(key): _encode(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(one) for one in value]
    return value


def _decode(value: object) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_INSTANT}:
            return datetime.fromisoformat(value[_INSTANT])
        return {key: _decode(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_decode(one) for one in value]
    return value
