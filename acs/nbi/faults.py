"""CWMP faults in words a NOC operator can act on (TR-069 A.5, table 66; and GenieACS's own)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from acs.errors import Refusal

if TYPE_CHECKING:
    from acs.nbi.outcomes import Fault

_CWMP: Mapping[str, str] = {
    "9000": "the CPE does not know this method",
    "9001": "the CPE denied the request",
    "9002": "an internal error of the CPE",
    "9003": "the CPE found an argument invalid",
    "9004": "the CPE is out of resources",
    "9005": "the CPE has no such parameter",
    "9006": "the value has the wrong type for the CPE",
    "9007": "the CPE does not accept this value",
    "9008": "the parameter cannot be written on this CPE",
    "9009": "the CPE cannot notify changes of this parameter",
    "9010": "the download failed",
    "9011": "the upload failed",
    "9012": "the file server refused the CPE's credentials",
    "9013": "the CPE does not speak the file server's protocol",
    "9014": "the CPE could not join the multicast group",
    "9015": "the CPE could not reach the file server",
    "9016": "the CPE could not get the file",
    "9017": "the CPE could not finish the download",
    "9018": "the file is corrupted",
    "9019": "the file is not authentic",
}
_GENIEACS: Mapping[str, str] = {
    "timeout": "the CPE stopped answering in the middle of its session",
    "session_terminated": "the CPE ended its session early",
    "too_many_commits": "the CPE's session did not come to rest",
    "too_many_rpcs": "the CPE's session did not come to rest",
    "too_many_cycles": "the CPE's session did not come to rest",
}
# Another attempt may succeed though nobody changes anything.
_PASSING = {"9001", "9002", "9004", *_GENIEACS}

_SCRIPT_FOUND = re.compile(r"(missing|read-only|cuts management) (\S+)")
_SCRIPT_MEANINGS: Mapping[str, str] = {
    "missing": "the CPE has no such parameter",
    "read-only": "the parameter cannot be written on this CPE",
    "cuts management": (
        "the CPE reports that the ACS reaches it over this very WAN, which the change would cut; where that is meant,"
        " let it have management = same_wan"
    ),
}
_CHOICE = re.compile(r"(no instance|ambiguous) ([a-z_]+): ?(.*)", re.DOTALL)
_LONGEST_SHOWN = 400
"""Characters of what a CPE reports of its own rows."""


def meaning_of(code: str, said: str = "") -> str:
    """The fault code in words; what the CPE said where the code is a vendor's own."""
    number = code.removeprefix("cwmp.")
    return _CWMP.get(number) or _GENIEACS.get(number) or said or "the CPE gave no reason"


def script_refusals(code: str, message: str) -> tuple[Refusal, ...]:
    """The parameters our apply script found missing or read-only; ``message`` is the fault's own, not cut."""
    if not code.startswith("script."):
        return ()
    choice = _CHOICE.fullmatch(message)
    if choice is not None:
        return (_choice_refusal(choice[1], choice[2], choice[3]),)
    found = _SCRIPT_FOUND.fullmatch(message)
    if not found:
        return ()
    return tuple(
        Refusal(path=path, code=found[1], meaning=_SCRIPT_MEANINGS[found[1]]) for path in found[2].split(",") if path
    )


def _choice_refusal(kind: str, name: str, among: str) -> Refusal:
    """No row, or several, are what a selector asks for: the CPE's own words say which it has."""
    shown = among if len(among) <= _LONGEST_SHOWN else f"{among[:_LONGEST_SHOWN]}..."
    rows = ", ".join(shown.split(";")) if shown else "none at all"
    meaning = (
        f"the CPE has no row that is its {name}; it has {rows}"
        if kind == "no instance"
        else f"the CPE has several rows that may be its {name}: {rows}"
    )
    return Refusal(path=name, code=kind.replace(" ", "_"), meaning=meaning)


def is_row_choice(fault: Fault) -> bool:
    """Whether the CPE had no row, or several, where exactly one was to be chosen."""
    return any(refusal["code"] in ("no_instance", "ambiguous") for refusal in fault.refusals)


def is_cut_session(fault: Fault) -> bool:
    """Whether the session just broke off, as it does when the CPE restarts what it runs over."""
    return fault.code in ("timeout", "session_terminated")


def is_passing(fault: Fault) -> bool:
    """Whether another attempt may succeed with nothing changed: an overload, a cut session, an internal error."""
    codes: Sequence[str] = [refusal["code"] for refusal in fault.refusals] or [fault.code.removeprefix("cwmp.")]
    return all(code in _PASSING for code in codes)


def in_words(fault: Fault) -> str:
    """One sentence: each parameter with what is wrong with it, or the fault as a whole."""
    if fault.refusals:
        return "; ".join(f"{each['path']}: {each['meaning']} ({each['code']})" for each in fault.refusals) + "."
    said = f", {fault.message!r}" if fault.message else ""
    otherwise = "the apply script failed" if fault.code.startswith("script.") else "a fault of the vendor's own"
    return f"{meaning_of(fault.code, otherwise)} ({fault.code}{said})."
