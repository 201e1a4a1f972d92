"""What pages load: our own sheet and script, and what ``deploy/assets`` has fetched from npm.

Each stands under an address that changes with its content, so that a browser may keep it for good.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import Response
from starlette.exceptions import HTTPException

from provisioning.api import PUBLIC, InCall
from provisioning.console.doors import ConsoleDoors
from provisioning.console.errors import AssetsMissing

HERE = Path(__file__).parent
FOLDERS = (HERE / "vendor", HERE / "assets")
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
PACKED = frozenset({".css", ".js", ".wasm"})
"""What gets smaller by gzip (RFC 1952). Files alone are packed: the length of a page might betray what it tells."""
NEEDED = (
    *("htmx.min.js", "pico.min.css", "console.css", "console.js", "icon.svg"),
    *("zxing.min.js", "zxing_reader.wasm"),
)
FOR_GOOD = "public, max-age=31536000, immutable"

doors = ConsoleDoors(name="assets")


@dataclass(frozen=True)
class Asset:
    """One file, held in memory."""

    content: bytes
    media_type: str
    address: str


@cache
def assets() -> dict[str, Asset]:
    """By file name. Raises: AssetsMissing naming what was not fetched."""
    found = {}
    for file in (file for folder in FOLDERS if folder.is_dir() for file in sorted(folder.iterdir())):
        if file.suffix in MEDIA_TYPES:
            content = file.read_bytes()
            mark = hashlib.sha256(content).hexdigest()[:12]
            found[file.name] = Asset(content, MEDIA_TYPES[file.suffix], f"/assets/{mark}/{file.name}")
    if missing := [name for name in NEEDED if name not in found]:
        raise AssetsMissing(missing)
    return found


@cache
def packed(name: str) -> bytes:
    """A file in as few octets as it gets; done once in a process."""
    return gzip.compress(assets()[name].content, mtime=0)


def takes_gzip(accepted: str) -> bool:
    """Whether this ``Accept-Encoding`` names gzip, other than to refuse it (RFC 9110, 12.5.3)."""
    for offer in accepted.lower().split(","):
        coding, _, weight = offer.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or not weight
    return False


def address_of(name: str) -> str:
    """Where a page loads this from."""
    return assets()[name].address


@doors.page("/assets/{mark}/{name}", permission=PUBLIC)
async def asset(call: InCall, mark: str, name: str) -> Response:
    """A file; under another mark it is another file, and nobody has that one any more."""
    found = assets().get(name)
    if found is None or found.address != call.request.url.path:
        raise HTTPException(404)
    headers = {"Cache-Control": FOR_GOOD, "X-Content-Type-Options": "nosniff"}
    content = found.content
    if Path(name).suffix in PACKED:
        headers["Vary"] = "Accept-Encoding"
        if takes_gzip(call.request.headers.get("Accept-Encoding", "")):
            content = packed(name)
            headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=found.media_type, headers=headers)
