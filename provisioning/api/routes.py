"""Routes with one transaction each, a declared permission, an idempotency key where they create, and an audit entry.

``Doors`` is a router that takes nothing else. A route is declared with its permission::

    doors = Doors(prefix="/runs", tags=["runs"])

    @doors.get("/{run_id}", permission="runs.read")
    async def show(call: InCall, run_id: Number) -> RunDocument: ...

``GET`` reads one moment and can't write. Every other method is one writing transaction: it commits when the function
has succeeded and its answer has been made, and leaves an audit entry, unless the function says that nothing changed.
What the function doesn't tell of for whom it was and what was there before, the changed rows tell, as for commands.
``permission=PUBLIC`` is a door without a token; what proves there that anybody may change anything is looked at by
``first``, which can't write, so that who proves nothing takes no lock and leaves nothing. What takes its time there is
handed back as a function, which is called when the transaction that was read in is over.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final, Literal, TypeVar, cast

import structlog
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from provisioning.access import (
    ANYBODY,
    PERMISSIONS,
    Caller,
    Deed,
    EarlierRequest,
    KnownCallers,
    Permission,
    TokenMissing,
    Tokens,
    filled,
    keep_deed,
    noted_changes,
    take_key,
    want_changes,
)
from provisioning.api.bodies import MOST_BYTES, check_address, check_json, is_csv, read_body, replayed
from provisioning.api.calls import Call
from provisioning.api.idempotency import earlier_answer, fingerprint, keep_answer, kept_body, key_of
from provisioning.api.misfits import Misfits, names_in_query, unknown_in_query, with_known_fields, with_misfits
from provisioning.api.openapi import described
from provisioning.api.problems import UNKEPT, Problem, problem_of, problem_response
from provisioning.bootstrap import Appliance
from provisioning.database_errors import as_database_error
from provisioning.field import SlotRefused

PUBLIC: Final = "public"

log = structlog.get_logger(__name__)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Refusal = Callable[[Request, Problem, Mapping[str, str]], Response]
Later = Callable[[], Awaitable[Response | None]]
First = Callable[[Call], Awaitable[Response | Later | None]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Any]])
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Terms:
    """Under which a route may be called.

    A page (it has a ``refusal``) that can be got can be asked for its head as well. ``keyed``: it takes an
    ``Idempotency-Key``. ``takes_json``: any body must be JSON, or CSV where its description says so (``takes_csv``).
    ``refusal``: makes the answer of a problem, where that is a page. ``first`` reads before anything may be written;
    what it answers is the answer, and a function that it hands back is asked for one, with no transaction open.
    ``shared``: its transaction is short and waits for nobody (``Database.begin``).
    ``most_at_once``: of a crowd only so many are let in, and the others wait where they keep nothing from anybody.
    ``misfits``: what else is wrong with a request of which a part is malformed.
    """

    permission: Permission | Literal["public", "signed in"]
    method: Method
    keyed: bool
    takes_json: bool
    most_bytes: int = MOST_BYTES
    refusal: Refusal | None = None
    first: First | None = None
    takes_csv: bool = False
    shared: bool = False
    most_at_once: int | None = None
    misfits: Misfits | None = None

    @property
    def reads(self) -> bool:
        return self.method == "GET"


class Door(APIRoute):
    """One route, which refuses to exist without terms. Who comes is known by a bearer token."""

    name_in_audit: ClassVar = "api"
    takes: ClassVar[frozenset[str]] = PERMISSIONS | {PUBLIC}
    """What may stand in the place of its permission."""

    def __init__(self, path: str, endpoint: Callable[..., Any], *, terms: Terms | None = None, **options: Any) -> None:
        if terms is None or terms.permission not in self.takes:
            raise TypeError(f"{path} declares no permission that there is: use the methods of Doors")
        self.terms = terms
        super().__init__(path, endpoint, **options)
        self._known_in_query = dict(names_in_query(self.dependant))

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def respond(request: Request) -> Response:
            try:
                check_address(request)
                if self.terms.reads:
                    return await self._read(request, handler)
                return await self._change(request, handler)
            except Exception as error:  # noqa: BLE001 - the API's one place: nothing leaves as a traceback
                problem, headers = problem_of(await _completed(request, error))
                make = self.terms.refusal
                return make(request, problem, headers) if make else problem_response(problem, headers)

        async def answer(request: Request) -> Response:
            response = await respond(request)
            for name, value in UNKEPT.items():
                response.headers.setdefault(name, value)
            if (act := getattr(request.state, "afterwards", None)) is not None:
                response.background = BackgroundTask(act)
            if request.method == "HEAD":
                response.body = b""  # its headers stay those of the whole answer (RFC 9110 section 9.3.2)
            return response

        return answer

    async def _read(self, request: Request, handler: Handler) -> Response:
        appliance = _appliance(request)
        async with appliance.database.read() as db:
            caller = await self._caller(appliance, db, request)
            response = await self._handled(self._called(request, appliance, db, caller), handler)
        if caller.token_id is not None and not caller.use_noted:
            response.background = BackgroundTask(_note_use, request.app.state.noting, appliance, caller.token_id)
        return response

    async def _change(self, request: Request, handler: Handler) -> Response:
        appliance, terms = _appliance(request), self.terms
        async with self._turn(request):
            caller = await self._let_in(appliance, request)
        key = key_of(request) if terms.keyed else None
        body = await read_body(request, most_bytes=terms.most_bytes)
        self._check_body(request, body)
        repeatable = replayed(request, body)
        async with self._turn(request):
            return await self._changed(request, repeatable, handler, body, key, caller)

    async def _looked(self, request: Request, first: First) -> Response | Later | None:
        """Raises: RequestValidationError, also with what the query names and the route doesn't know."""
        try:
            return await first(request.state.call)
        except RequestValidationError as malformed:
            faults = [*self._unknown(request), *malformed.errors()]
            raise RequestValidationError(faults, body=malformed.body) from malformed

    def _turn(self, request: Request) -> AbstractAsyncContextManager[None]:
        if (most := self.terms.most_at_once) is None:
            return nullcontext()
        turns: dict[str, asyncio.Semaphore] = request.app.state.turns
        return cast("AbstractAsyncContextManager[None]", turns.setdefault(self.path, asyncio.Semaphore(most)))

    async def _changed(
        self, request: Request, repeatable: Request, handler: Handler, body: bytes, key: str | None, caller: Caller
    ) -> Response:
        appliance, terms = _appliance(request), self.terms
        if terms.first is not None:
            async with appliance.database.read() as db:
                looked = self._called(repeatable, appliance, db, caller)
                found = await self._looked(looked, terms.first)
            answer = found if found is None or isinstance(found, Response) else await found()
            if answer is not None:
                return answer
        async with appliance.database.begin(shared=terms.shared) as db:
            caller = await self._caller(appliance, db, request)  # the body, or a turn to write, may have taken long
            if caller.token_id is not None and not caller.use_noted:
                await Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock).note_use(caller.token_id)
            called = self._called(repeatable, appliance, db, caller)
            if key is None or caller.token_id is None:
                return await self._audited(called, handler)
            mark, now = fingerprint(request, body, takes_json=terms.takes_json), appliance.clock()
            tenant_id, token_id = appliance.tenant_id, caller.token_id
            taken = await take_key(db, tenant_id=tenant_id, token_id=token_id, key=key, fingerprint=mark, now=now)
            if isinstance(taken, EarlierRequest):
                return earlier_answer(taken, mark)
            response = await self._audited(called, handler)
            await keep_answer(db, taken, response, shown_once=called.state.call.shown_once)
            return response

    def _check_body(self, request: Request, body: bytes) -> None:
        """Raises: MediaTypeUnsupported, RequestMalformed."""
        if self.terms.takes_json and not (self.terms.takes_csv and is_csv(request)):
            check_json(request, body)

    async def _audited(self, request: Request, handler: Handler) -> Response:
        call: Call = request.state.call
        want_changes(call.db)
        response = await self._handled(request, handler)
        await call.db.flush()
        changes = noted_changes(call.db)
        if call.changed_nothing:
            return response
        if call.deed.after is None and response.headers.get("content-type", "").startswith("application/json"):
            call.deed.after = json.loads(kept_body(response, call.shown_once))
        await keep_deed(call.db, filled(call.deed, changes), tenant_id=call.tenant_id, at=call.appliance.clock())
        return response

    async def _handled(self, request: Request, handler: Handler) -> Response:
        try:
            return await self._answered(request, handler)
        except RequestValidationError as malformed:
            if self.terms.misfits is None:
                raise
            raise await with_misfits(request.state.call, malformed, self.terms.misfits) from malformed

    async def _answered(self, request: Request, handler: Handler) -> Response:
        """Who misspells a filter is told so: without it the answer would be another one than was asked for.

        Raises: RequestValidationError.
        """
        unknown = self._unknown(request)
        if unknown and not self.terms.reads:
            raise RequestValidationError(unknown)  # nothing is begun that is refused then
        try:
            response = await handler(request)
        except RequestValidationError as malformed:
            body = None if self.body_field is None else self.body_field.field_info.annotation
            faults = with_known_fields(malformed, body)
            raise RequestValidationError([*unknown, *faults], body=malformed.body) from malformed
        if unknown:
            raise RequestValidationError(unknown)
        return response

    def _unknown(self, request: Request) -> list[dict[str, Any]]:
        """What the query names and the route doesn't know, or knows once; of pages, and of what anybody may call,
        nothing."""
        if self.terms.refusal is not None or self.terms.permission == PUBLIC:
            return []
        return unknown_in_query(request, self._known_in_query)

    async def _let_in(self, appliance: Appliance, request: Request) -> Caller:
        """Before anything is read or locked for a change, whose transaction looks the token up again."""
        if self.terms.permission != PUBLIC:
            known: KnownCallers = request.app.state.known
            caller = known.find(_token(request))
            if caller is not None:
                caller.require(cast(Permission, self.terms.permission))
                return caller
        async with appliance.database.read() as db:
            return await self._caller(appliance, db, request)

    async def _caller(self, appliance: Appliance, db: AsyncSession, request: Request) -> Caller:
        if self.terms.permission == PUBLIC:
            return ANYBODY
        token, known = _token(request), cast(KnownCallers, request.app.state.known)
        caller = known.find(token) if self.terms.reads else None
        if caller is None:
            asked_at = appliance.clock()
            caller = await Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock).caller(token)
            known.keep(token, caller, asked_at=asked_at)
        caller.require(cast(Permission, self.terms.permission))
        return caller

    def _called(self, request: Request, appliance: Appliance, db: AsyncSession, caller: Caller) -> Request:
        action = " ".join([*map(str, self.tags[:1]), self.name.replace("_", "-")])
        deed = Deed(action=action, actor=caller.name, door=self.name_in_audit, token_id=caller.token_id)
        request.state.call = Call(appliance, db, caller, deed, request)
        return request


class Doors(APIRouter):
    """A router of doors."""

    kind: ClassVar[type[Door]] = Door

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=self.kind, **options)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the framework finds it, but for one look before: it would try each route of each noun, twice."""
        if self.prefix and self.prefix not in scope.get("path", ""):
            return Match.NONE, {}
        return super().matches(scope)

    def door(  # noqa: PLR0913 - each is one of the route's terms
        self,
        method: Method,
        path: str,
        *,
        permission: Permission | Literal["public", "signed in"],
        keyed: bool | None = None,
        takes_json: bool | None = None,
        most_bytes: int = MOST_BYTES,
        if_match: bool = False,
        refusal: Refusal | None = None,
        first: First | None = None,
        shared: bool = False,
        most_at_once: int | None = None,
        misfits: Misfits | None = None,
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """A route; ``options`` are FastAPI's own. Statuses that its terms bring are documented by themselves."""
        with_token = permission != PUBLIC
        terms = Terms(
            permission=permission,
            method=method,
            keyed=(method == "POST" and with_token) if keyed is None else keyed,
            takes_json=with_token if takes_json is None else takes_json,
            most_bytes=most_bytes,
            refusal=refusal,
            first=first,
            shared=shared,
            most_at_once=most_at_once,
            misfits=misfits,
            takes_csv="text/csv" in options.get("openapi_extra", {}).get("requestBody", {}).get("content", {}),
        )
        documented = described(path, terms, if_match=if_match) if with_token else {}
        documented |= {name: value for name, value in options.items() if name not in ("responses", "openapi_extra")}
        documented["responses"] = {**documented.get("responses", {}), **options.get("responses", {})}
        documented["openapi_extra"] = {**documented.get("openapi_extra", {}), **options.get("openapi_extra", {})}

        def declare(endpoint: Endpoint) -> Endpoint:
            route = cast("type[APIRoute]", partial(self.kind, terms=terms))
            methods: list[str] = ["GET", "HEAD"] if refusal is not None and method == "GET" else [method]
            self.add_api_route(path, endpoint, methods=methods, route_class_override=route, **documented)
            return endpoint

        return declare

    def get(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """A reading door."""
        return self.door("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """A door that makes or does something; with an Idempotency-Key, unless it is public."""
        return self.door("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """A door that changes something."""
        return self.door("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """A door that takes something away."""
        return self.door("DELETE", path, **options)


def _token(request: Request) -> str:
    """Raises: TokenMissing."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not (token := token.strip()):
        raise TokenMissing
    return token


def _appliance(request: Request) -> Appliance:
    appliance: Appliance = request.app.state.appliance
    return appliance


async def _completed(request: Request, error: Exception) -> Exception:
    """A slot's refusal says what else is free; that is looked for when no transaction is open any more."""
    if isinstance(error, SlotRefused):
        _only_own(request, error)
        try:
            await _appliance(request).alternatives.tell(error)
        except SQLAlchemyError as failed:
            return failed
    return error


def _only_own(request: Request, refused: SlotRefused) -> None:
    """A technician is told when they themselves are free; the others' diaries are no business of theirs."""
    call: Call | None = getattr(request.state, "call", None)
    if call is not None and call.caller.technician_id is not None and refused.asked is not None:
        refused.asked = replace(refused.asked, technician_id=call.caller.technician_id)


async def _note_use(noting: set[int], appliance: Appliance, token_id: int) -> None:
    """After the answer, in a transaction of its own, once in a while: reading takes no lock and waits for none."""
    if token_id in noting:
        return
    noting.add(token_id)
    try:
        async with appliance.database.begin(shared=True) as db:
            await Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock).note_use(token_id)
    except SQLAlchemyError as error:
        log.warning("the use of a token could not be noted", token_id=token_id, reason=str(as_database_error(error)))
    finally:
        noting.discard(token_id)
