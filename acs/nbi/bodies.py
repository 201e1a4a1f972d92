"""What is put at the ACS for all devices, checked before it is sent: scripts, objects, what a file is for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from acs.nbi.errors import NbiRequestInvalid
from acs.nbi.requests import LARGEST_BODY, is_xml_value, path_faults

_HEADER = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?|")


def checked_script(name: str, script: str) -> bytes:
    """The body of a script's PUT; whether it is JavaScript is for the ACS to say."""
    if not script.strip():
        raise NbiRequestInvalid([f"the script of {name[:80]} is empty"])
    body = script.encode()
    if len(body) > LARGEST_BODY:
        raise NbiRequestInvalid([f"the script of {name[:80]} is {len(body)} bytes long, {LARGEST_BODY} are possible"])
    return body


def object_body(values: Mapping[str, str | int | bool]) -> bytes:
    """The body of PUT /objects/{name}."""
    faults = [] if values else ["an object without parameters"]
    for name, value in values.items():
        faults += path_faults(name)
        faults += [] if is_xml_value(value) else [f"the value for {name[:80]} cannot be sent to a CPE"]
    if faults:
        raise NbiRequestInvalid(faults)
    return json.dumps(dict(values)).encode()


def file_headers(*, file_type: str, oui: str, product_class: str, version: str) -> dict[str, str]:
    """What a file is for, in the headers of its PUT."""
    headers = {"fileType": file_type, "oui": oui, "productClass": product_class, "version": version}
    faults = [f"{key} is no line of printable ASCII" for key, value in headers.items() if not _HEADER.fullmatch(value)]
    faults += [] if file_type else ["fileType is missing"]
    if faults:
        raise NbiRequestInvalid(faults)
    return headers
