"""Files of allocations as people hand them in and take them away, for every door: bytes in, CSV out."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ipam import ImportFile, ImportMapping, ImportSource, read_import, read_mapping, reply_file
from provisioning.bootstrap import Appliance
from provisioning.errors import Fault, InvalidRequest
from provisioning.text_files import lines_of
from radius import address_replies

FILE, MAPPING = "file", "mapping"


async def opened(
    appliance: Appliance, source: ImportSource, *, content: bytes | None, mapping: bytes | None = None
) -> ImportFile:
    """What the file says, read but not compared with anything. Without ``content`` it is what the radius database has.

    Raises:
        InvalidRequest: there is nothing to read, or it is no text.
        RequestInvalid: it is no such file.
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    known = (
        read_mapping(lines_of(mapping, what="The import", field=MAPPING)) if mapping is not None else ImportMapping()
    )
    if content is not None:
        return await asyncio.to_thread(read_import, lines_of(content, what="The import", field=FILE), source, known)
    if source != "radreply":
        raise InvalidRequest("The import", [Fault(FILE, "is needed; only radreply can be read from its database")])
    replies = address_replies(appliance.radius_database.read, tenant_id=appliance.tenant_id)
    return reply_file([(row.username, row.attribute, row.op, row.value) async for row in replies], known)


def with_errors(file: ImportFile, faults: Mapping[int, Sequence[str]]) -> str:
    """The file again, with a column of what is wrong with each line."""
    return as_csv(file.with_errors(faults), file.separator)


def as_csv(rows: Iterable[Sequence[Any]], separator: str = ",") -> str:
    """Rows as RFC 4180 has them, but for the ends of lines."""
    written = io.StringIO()
    csv.writer(written, delimiter=separator, lineterminator="\n").writerows(rows)
    return written.getvalue()
