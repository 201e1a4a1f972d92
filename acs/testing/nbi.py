"""The NBI's paths: what each answers, with which status and reason, as observed on GenieACS 1.2.16.

There is no GET of one thing; a method that a path doesn't know is 405 with `Allow`; a handler that throws costs the
worker.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from acs.testing.clock import Clock
from acs.testing.cwmp import Cwmp
from acs.testing.documents import ALIASES, COLLECTIONS, Documents, project, projected_paths, sort_documents
from acs.testing.errors import WorkerCrash
from acs.testing.http_server import HttpRequest, HttpResponse
from acs.testing.javascript_syntax import javascript_error
from acs.testing.json_text import JsonSyntaxError, dump_json, parse_json
from acs.testing.nbi_tasks import TaskQueue
from acs.testing.query import Document, object_id

_IN_SESSION = "Device is in session"
_NO_SUCH_DEVICE = "No such device"
_MALFORMED_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DATABASE_TURN_SECONDS = 0.003


@dataclass(frozen=True)
class Call:
    """A request, taken apart: decoded path segments that vary, and the query string."""

    request: HttpRequest
    parts: tuple[str, ...]
    query: Mapping[str, str]


Endpoint = Callable[[Call], Awaitable[HttpResponse]]


class Nbi:
    """Routes requests to their endpoints. Raises WorkerCrash where the server throws."""

    def __init__(self, documents: Documents, cwmp: Cwmp, tasks: TaskQueue, clock: Clock) -> None:
        self._documents = documents
        self._cwmp = cwmp
        self._tasks = tasks
        self._clock = clock
        self._routes: list[tuple[re.Pattern[str], dict[str, Endpoint]]] = [
            (re.compile(pattern), endpoints) for pattern, endpoints in self._table().items()
        ]

    def _table(self) -> dict[str, dict[str, Endpoint]]:
        name = r"([A-Za-z0-9\-_%]+)"
        return {
            rf"/presets/{name}": {"PUT": self._put_json, "DELETE": self._delete_one},
            rf"/objects/{name}": {"PUT": self._put_json, "DELETE": self._delete_one},
            rf"/provisions/{name}": {"PUT": self._put_script, "DELETE": self._delete_one},
            rf"/(?:virtual_parameters|virtualParameters)/{name}": {"PUT": self._put_script, "DELETE": self._delete_one},
            rf"/devices/{name}/tags/{name}": {"POST": self._add_tag, "DELETE": self._delete_tag},
            rf"/tasks/{name}/retry": {"POST": self._retry},
            rf"/tasks/{name}": {"DELETE": self._delete_task},
            rf"/devices/{name}/tasks": {"POST": self._post_task},
            rf"/devices/{name}": {"DELETE": self._delete_device},
            r"/faults/([A-Za-z0-9\-_%:]+)": {"DELETE": self._delete_fault},
            r"/files/([A-Za-z0-9\-_%.]+)": {"PUT": self._put_file, "DELETE": self._delete_file},
            rf"/({'|'.join([*COLLECTIONS, *ALIASES])})": {"GET": self._list, "HEAD": self._list},
        }

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Raises: WorkerCrash."""
        await self._clock.sleep(_DATABASE_TURN_SECONDS)
        path, _, query = request.target.partition("?")
        for pattern, endpoints in self._routes:
            found = pattern.fullmatch(path.rstrip("/") or "/")
            if found is None:
                continue
            parts = tuple(_decode(part) for part in found.groups())
            endpoint = endpoints.get(request.method)
            if endpoint is None:
                return HttpResponse.text(405, "405 Method Not Allowed", Allow=", ".join(endpoints))
            try:
                return await endpoint(Call(request, parts, dict(parse_qsl(query, keep_blank_values=True))))
            except JsonSyntaxError as exc:
                return HttpResponse.text(400, str(exc))
        return HttpResponse.text(404, "404 Not Found")

    # --- lists ----------------------------------------------------------------------------------------------------

    async def _list(self, call: Call) -> HttpResponse:
        name = ALIASES.get(call.parts[0], call.parts[0])
        query = parse_json(call.query["query"]) if "query" in call.query else {}
        order = parse_json(call.query["sort"]) if "sort" in call.query else None
        found = self._documents.find(name, query)
        total = str(len(found))
        if isinstance(order, dict):
            found = sort_documents(found, order, devices=name == "devices")
        skip, limit = _number(call.query.get("skip")), _number(call.query.get("limit"))
        found = found[skip : skip + limit] if limit else found[skip:]
        if "projection" in call.query:
            wanted = projected_paths(call.query["projection"].split(","))
            found = [project(document, wanted) for document in found]
        return HttpResponse(200, _lines(found), headers={"Content-Type": "application/json", "total": total})

    # --- devices --------------------------------------------------------------------------------------------------

    async def _post_task(self, call: Call) -> HttpResponse:
        return await self._tasks.post(call.parts[0], call.request.body, call.query)

    async def _add_tag(self, call: Call) -> HttpResponse:
        device = self._documents["devices"].get(call.parts[0])
        if device is None:
            return HttpResponse.text(404, _NO_SUCH_DEVICE)
        tags = device.setdefault("_tags", [])
        if call.parts[1] not in tags:
            tags.append(call.parts[1])
        return HttpResponse.text(200)

    async def _delete_tag(self, call: Call) -> HttpResponse:
        device = self._documents["devices"].get(call.parts[0])
        if device is None:
            return HttpResponse.text(404, _NO_SUCH_DEVICE)
        if "_tags" in device:
            device["_tags"] = [tag for tag in device["_tags"] if tag != call.parts[1]]
        return HttpResponse.text(200)

    async def _delete_device(self, call: Call) -> HttpResponse:
        if self._in_session(call.parts[0]):
            return HttpResponse.text(503, _IN_SESSION)
        self._documents.delete_device(call.parts[0])
        return HttpResponse.text(200)

    # --- tasks and faults -----------------------------------------------------------------------------------------

    async def _delete_task(self, call: Call) -> HttpResponse:
        task = self._documents["tasks"].get(str(object_id(call.parts[0])))
        if task is None:
            return HttpResponse.text(404, "Task not found")
        device_id = str(task.get("device"))
        if self._in_session(device_id):
            return HttpResponse.text(503, _IN_SESSION)
        del self._documents["tasks"][task["_id"]]
        self._documents["faults"].pop(f"{device_id}:task_{task['_id']}", None)
        return HttpResponse.text(200)

    async def _retry(self, call: Call) -> HttpResponse:
        task = self._documents["tasks"].get(str(object_id(call.parts[0])))
        if task is None:
            raise WorkerCrash("retry of an unknown task")
        device_id = str(task.get("device"))
        if self._in_session(device_id):
            return HttpResponse.text(503, _IN_SESSION)
        self._documents["faults"].pop(f"{device_id}:task_{task['_id']}", None)
        return HttpResponse.text(200)

    async def _delete_fault(self, call: Call) -> HttpResponse:
        device_id, _, channel = call.parts[0].partition(":")
        if self._in_session(device_id):
            return HttpResponse.text(503, _IN_SESSION)
        self._documents["faults"].pop(call.parts[0], None)
        if channel.startswith("task_"):
            self._documents["tasks"].pop(channel[5:], None)
        return HttpResponse.text(200)

    def _in_session(self, device_id: str) -> bool:
        return device_id in self._cwmp.open

    # --- presets, objects, scripts, files -------------------------------------------------------------------------

    async def _put_json(self, call: Call) -> HttpResponse:
        body = parse_json(call.request.body.decode())
        if not isinstance(body, dict):
            return HttpResponse.text(400, "TypeError: Cannot set properties of null (setting '_id')")
        self._collection_of(call)[call.parts[0]] = {"_id": call.parts[0]} | body
        return HttpResponse.text(200)

    async def _put_script(self, call: Call) -> HttpResponse:
        script = call.request.body.decode()
        error = javascript_error(script)
        if error is not None:
            return HttpResponse.text(400, f"SyntaxError: {error}")
        self._collection_of(call)[call.parts[0]] = {"_id": call.parts[0], "script": script}
        return HttpResponse.text(200)

    async def _delete_one(self, call: Call) -> HttpResponse:
        self._collection_of(call).pop(call.parts[0], None)
        return HttpResponse.text(200)

    def _collection_of(self, call: Call) -> dict[str, Document]:
        name = call.request.target.split("/")[1]
        return self._documents[ALIASES.get(name, name)]

    async def _put_file(self, call: Call) -> HttpResponse:
        kinds = {"filetype": "fileType", "oui": "oui", "productclass": "productClass", "version": "version"}
        metadata = {name: call.request.headers.get(header, "") for header, name in kinds.items()}
        name = call.parts[0]
        self._documents["files"][name] = {
            "_id": name,
            "length": len(call.request.body),
            "chunkSize": 261120,
            "uploadDate": self._clock.now(),
            "filename": name,
            "metadata": metadata,
        }
        return HttpResponse.text(201)

    async def _delete_file(self, call: Call) -> HttpResponse:
        if self._documents["files"].pop(call.parts[0], None) is None:
            raise WorkerCrash("delete of a missing file")
        return HttpResponse.text(200)


def _decode(part: str) -> str:
    """Raises: WorkerCrash for a malformed escape."""
    if _MALFORMED_ESCAPE.search(part):
        raise WorkerCrash("URI malformed")
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError as exc:
        raise WorkerCrash("URI malformed") from exc


def _number(text: str | None) -> int:
    """As JavaScript's parseInt: what is no number counts as none given."""
    found = re.match(r"\s*\d+", text or "")
    return int(found[0]) if found else 0


def _lines(found: list[Any]) -> list[bytes]:
    """One document a line, one chunk each; nothing found is still a list."""
    lines = [dump_json(document) for document in found]
    body = ["[\n", *(f"{line},\n" for line in lines[:-1]), *lines[-1:], "\n]"]
    return [part.encode() for part in body]
