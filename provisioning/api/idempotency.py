"""The same POST again is the same answer (draft-ietf-httpapi-idempotency-key-header).

A key belongs to one token. Its row, the change and the answer are one commit; so a request that failed has left no key
and is simply carried out when it comes again, and of two at once the second waits for the first at the unique index.
A secret that an answer shows once is left out of what is kept: the same request again is answered with null there.
"""

from __future__ import annotations

import hashlib
import json
import re

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from provisioning.access import EarlierRequest, keep_under_key
from provisioning.api.bodies import is_json
from provisioning.api.errors import IdempotencyKeyMissing, IdempotencyKeyReused

HEADER = "Idempotency-Key"

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
_KEPT_HEADERS = ("content-type", "etag", "location")


def key_of(request: Request) -> str:
    """The request's key; quoted, as the draft writes it, or bare. Raises: IdempotencyKeyMissing."""
    given = request.headers.getlist(HEADER)
    key = given[0].strip() if len(given) == 1 else ""
    if len(key) > 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyMissing
    return key


def fingerprint(request: Request, body: bytes, *, takes_json: bool) -> str:
    """What makes it the same request: method, address, ``If-Match`` and content, however its JSON is spaced.

    ``takes_json``: where JSON is taken it was looked at before; elsewhere whatever is called so is bytes.
    """
    is_read = takes_json and bool(body) and is_json(request)
    content = json.dumps(json.loads(body), sort_keys=True).encode() if is_read else body
    address = f"{request.method} {request.url.path}?{request.url.query}\n{request.headers.get('if-match', '')}\n"
    return hashlib.sha256(address.encode() + content).hexdigest()


def kept_body(response: Response, shown_once: frozenset[str]) -> bytes:
    """What may be kept of an answer."""
    body = bytes(response.body)
    return json.dumps({**json.loads(body), **dict.fromkeys(shown_once)}).encode() if shown_once else body


async def keep_answer(
    db: AsyncSession, key_id: int, response: Response, *, shown_once: frozenset[str] = frozenset()
) -> None:
    """Keeps what is answered, in the transaction of the change."""
    headers = json.dumps({name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers})
    body = kept_body(response, shown_once)
    await keep_under_key(db, key_id, status=response.status_code, headers=headers, body=body)


def earlier_answer(row: EarlierRequest, mark: str) -> Response:
    """What was answered before to the same request. Raises: IdempotencyKeyReused if it was another one."""
    if row.fingerprint != mark:
        raise IdempotencyKeyReused
    assert row.status is not None and row.body is not None, "a key is committed with its answer"
    return Response(row.body, row.status, {**json.loads(row.headers or "{}"), "Idempotent-Replay": "true"})
