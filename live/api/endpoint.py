"""One declaration per endpoint: path, who may call it, what goes in, what comes out. Validation, role checks, limits, idempotency and
the OpenAPI document all come from it, so they can't disagree."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from commerce import idempotency, orders, sale_rows
from commerce.clock import wall_clock_ms
from live import audit, identity, problems, rooms
from live.answers import Answers
from live.identity import Caller, Source
from live.limits import ANONYMOUS, SAFE, UNSAFE, Limit, Limits
from live.origins import is_foreign
from live.problems import HttpProblem
from live.rooms import Room
from live.wiring import Wiring

log = logging.getLogger("flashroom.api")

MAX_BODY_BYTES: Final = 64 * 1024
MAX_FIELD_CHARACTERS: Final = 100
GUEST_COOKIE: Final = "flashroom_viewer"
SESSION_COOKIE: Final = "flashroom_session"
SOURCE_HEADER: Final = "Flashroom-Source"
UNSAFE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

# Who may do what in a room. "viewer" is anybody with a nickname; a list of roles is looked up in the room of the path.
MODERATE: Final = frozenset({"moderator", "seller", "host", "owner"})
SELL: Final = frozenset({"seller", "host", "owner"})
PRODUCE: Final = frozenset({"host", "owner"})
OWN: Final = frozenset({"owner"})
READ: Final = frozenset({"moderator", "analyst", "seller", "host", "owner"})

_KEY: Final = re.compile(r"^[\x21-\x7e]{8,255}$")
_PARAMETERS: Final[Mapping[str, str]] = {
    "room_id": r"^rm_[A-Za-z0-9_]{1,60}$",
    "product_id": r"^pr_[A-Za-z0-9_]{1,60}$",
    "user_id": r"^us_[A-Za-z0-9_]{1,60}$",
    "invite_id": r"^in_[A-Za-z0-9_]{1,60}$",
    "approval_id": r"^ap_[A-Za-z0-9_]{1,60}$",
    "sale_id": r"^sl_[A-Za-z0-9_]{1,60}$",
    "order_id": r"^or_[A-Za-z0-9_]{1,60}$",
    "comment_id": r"^co_[A-Za-z0-9_]{1,60}$",
    "viewer_id": r"^(gu|us)_[A-Za-z0-9_]{1,60}$",
    "provider": r"^[a-z_]{1,20}$",
    "attempt_id": r"^pa_[A-Za-z0-9_]{1,60}$",
    "endpoint_id": r"^we_[A-Za-z0-9_]{1,60}$",
    "delivery_id": r"^[0-9]{1,18}$",
    "recording_id": r"^[1-9][0-9]{0,14}$",
}


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter of a list."""

    name: str
    description: str
    pattern: str = r"^.{1,100}$"
    is_integer: bool = False


LIMIT: Final = Query(
    "limit", "How many at most, 1 to 200.", r"^(1[0-9]{0,2}|200|[2-9][0-9]?)$", is_integer=True
)
CURSOR: Final = Query("cursor", "`next_cursor` of the page before.", r"^[\x21-\x7e]{1,100}$")


@dataclass(slots=True)
class Call:
    """One request on its way through an endpoint."""

    request: Request
    wiring: Wiring
    caller: Caller
    room: Room | None
    body: Any
    raw: bytes
    key: str
    now_ms: int
    cookies: list[tuple[str, str | None]] = field(default_factory=list)

    def parameter(self, name: str) -> str:
        value: str = self.request.path_params[name]
        return value

    def query(self, name: str) -> str | None:
        return self.request.query_params.get(name)

    @property
    def limit(self) -> int:
        return int(self.query("limit") or 50)

    @property
    def action_id(self) -> str:
        """The same for every retry of this call, and for no other call: what makes adding stock idempotent."""
        return idempotency.fingerprint(self.caller.principal, self.key, b"")

    @property
    def in_room(self) -> Room:
        assert self.room is not None
        return self.room

    @property
    def buyer_id(self) -> str:
        buyer_id = self.caller.buyer_id
        assert buyer_id is not None
        return buyer_id


async def record(
    c: AsyncConnection,
    call: Call,
    action: str,
    target: str,
    *,
    before: Any = None,
    after: Any = None,
    room_id: str | None = None,
) -> None:
    """The call's line in the room's action log, in the transaction of what it did; once, however often the call is repeated."""
    await audit.record(
        c,
        call.caller,
        room_id or call.in_room.room_id,
        action,
        target,
        at_ms=call.now_ms,
        call_id=call.action_id,
        before=before,
        after=after,
    )


Handler = Callable[[Call], Awaitable[BaseModel | Response | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`roles`: None for everybody, "viewer" for anybody with a nickname, or the roles in the room of the path."""

    method: str
    path: str
    summary: str
    tag: str
    handler: Handler
    roles: frozenset[str] | str | None = None
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    media_type: str = "application/json"
    queries: tuple[Query, ...] = ()
    limit: Limit | None = None
    raw: bool = False
    """A webhook: the body is the sender's, there is no idempotency key, and no cookie counts."""
    max_body_bytes: int = MAX_BODY_BYTES
    keeps_answer: bool = True
    """False where the answer is a credential or where doing it again does no harm: nothing is stored, so a crowd that arrives
    at once (a nickname and a ticket each) writes nothing into SQL."""

    @property
    def is_unsafe(self) -> bool:
        return self.method in UNSAFE_METHODS

    @property
    def needs_key(self) -> bool:
        return self.is_unsafe and not self.raw

    def parameters(self) -> dict[str, str]:
        """Path parameter -> pattern."""
        return {name: _PARAMETERS[name] for name in re.findall(r"{(\w+)}", self.path)}


async def serve(endpoint: Endpoint, request: Request) -> Response:
    """Answer one request; whatever is wrong with it becomes a problem, and only what is our own fault a 500."""
    wiring: Wiring = request.app.state.wiring
    limits: Limits = request.app.state.limits
    try:
        return await _serve(endpoint, request, wiring, limits)
    except problems.REFUSALS as error:
        return problems.of_error(error)
    except ClientDisconnect:
        return problems.answer(400, "client_gone", "The request ended before its body was complete.")


async def _serve(endpoint: Endpoint, request: Request, wiring: Wiring, limits: Limits) -> Response:
    now_ms = wall_clock_ms()
    _check_parameters(endpoint, request)
    caller = await _caller(request, wiring, now_ms, with_cookies=not endpoint.raw)
    await limits.take(endpoint.limit or _limit_of(endpoint, caller), caller.principal, caller.address)
    if (
        endpoint.needs_key
        and not request.headers.get("authorization")
        and is_foreign(wiring.settings, request.scope["scheme"], request.headers)
    ):
        raise HttpProblem(403, "wrong_origin", "This call must come from our own pages.")
    if endpoint.max_body_bytes > MAX_BODY_BYTES:
        # Nobody makes us read a long body that they may not send.
        await _authorise(endpoint, request, wiring, caller)
    raw = await _read_body(request, endpoint.max_body_bytes) if endpoint.is_unsafe else b""
    room = await _authorise(endpoint, request, wiring, caller)
    key = request.headers.get("idempotency-key", "")
    if endpoint.needs_key and not _KEY.fullmatch(key):
        raise HttpProblem(
            400,
            "idempotency_key_required",
            "Send an Idempotency-Key header of 8 to 255 visible ASCII characters; repeat it when you repeat the call.",
        )
    body = _parse(endpoint, request, raw)
    call = Call(request, wiring, caller, room, body, raw, key, now_ms)
    if not (endpoint.needs_key and endpoint.keeps_answer):
        return await _run(endpoint, call)
    return await _run_once(endpoint, call)


def _limit_of(endpoint: Endpoint, caller: Caller) -> Limit:
    if endpoint.is_unsafe:
        return UNSAFE
    return SAFE if caller.buyer_id is not None else ANONYMOUS


async def _run_once(endpoint: Endpoint, call: Call) -> Response:
    """Run the call, or give the stored answer of the one with this key (draft-ietf-httpapi-idempotency-key-header)."""
    principal = call.caller.principal
    answers: Answers = call.request.app.state.answers
    begun = await answers.begin(principal, call.key, _fingerprint(call), call.now_ms)
    if isinstance(begun, idempotency.Replay):
        media_type = "application/json" if begun.status < 400 else problems.MEDIA_TYPE
        return Response(
            begun.body,
            begun.status,
            media_type=media_type if begun.body else None,
            headers={"Idempotency-Replayed": "true"},
        )
    kept = False
    try:
        try:
            response = await _run(endpoint, call)
        except problems.REFUSALS as error:
            response = problems.of_error(error)
        kept = response.status_code < 500 and response.status_code != 429
    finally:
        if kept:
            body = bytes(response.body)
            await answers.finish(principal, call.key, response.status_code, body, wall_clock_ms())
        else:  # a 5xx decided nothing
            await answers.abandon(principal, call.key)
    return response


def _fingerprint(call: Call) -> str:
    """What makes two calls the same one. Keyed, because a body may hold a card number, and a bare hash of those can be guessed."""
    scope = call.request.scope
    same = b"\n".join((scope["method"].encode(), scope["path"].encode(), call.raw))
    return hmac.new(call.wiring.settings.key("idempotency"), same, hashlib.sha256).hexdigest()


async def _run(endpoint: Endpoint, call: Call) -> Response:
    answer = await endpoint.handler(call)
    if isinstance(answer, Response):
        return answer
    if answer is None:
        response = Response(status_code=204)
    else:
        response = Response(
            answer.model_dump_json(), status_code=endpoint.status, media_type="application/json"
        )
    for name, value in call.cookies:
        secure = call.wiring.settings.is_production
        if value is None:
            response.delete_cookie(name, secure=secure, httponly=True, samesite="lax")
        else:
            max_age_s = (identity.GUEST_TTL_MS if name == GUEST_COOKIE else identity.SESSION_TTL_MS) // 1000
            response.set_cookie(name, value, max_age=max_age_s, secure=secure, httponly=True, samesite="lax")
    response.headers["Cache-Control"] = "no-store"
    return response


def client_address(request: Request) -> str:
    """The peer's address; behind a trusted proxy uvicorn has put the forwarded one here."""
    return request.client.host if request.client is not None else ""


async def _caller(request: Request, wiring: Wiring, now_ms: int, *, with_cookies: bool) -> Caller:
    address, source = client_address(request), _source(request)
    if not with_cookies:
        return Caller(None, None, address, source)
    guest_cookie = request.cookies.get(GUEST_COOKIE)
    guest = None
    if guest_cookie is not None:
        guest = identity.verify_guest(wiring.settings.key("guest"), guest_cookie, now_ms)
    token = session_token(request)
    user = None
    if token is not None:
        async with wiring.database.read() as c:
            user = await identity.session_user(c, token, now_ms)
    return Caller(guest, user, address, source)


def _source(request: Request) -> Source | None:
    """How the caller says they did it; whoever says nothing we know of is a program."""
    said = request.headers.get(SOURCE_HEADER, "").lower()
    for source in identity.SOURCES:
        if said == source:
            return source
    # A link of our page that was followed (a file to take away) carries no header of ours: a person did it, we can't tell how.
    return None if request.headers.get("sec-fetch-mode") == "navigate" else "api"


def session_token(request: Request) -> str | None:
    """The session's token from the cookie or an `Authorization: Bearer` header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token[:200]
    return request.cookies.get(SESSION_COOKIE)


async def _read_body(request: Request, most: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most:
        raise HttpProblem(413, "body_too_large", f"A body has at most {most} bytes.")
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > most:
            raise HttpProblem(413, "body_too_large", f"A body has at most {most} bytes.")
    return bytes(received)


def _check_parameters(endpoint: Endpoint, request: Request) -> None:
    for name, pattern in endpoint.parameters().items():
        if not re.fullmatch(pattern, request.path_params[name]):
            raise HttpProblem(404, "not_found", f"There is nothing under this {name}.")
    known = {query.name: query for query in endpoint.queries}
    for name, value in request.query_params.multi_items():
        query = known.get(name)
        if query is None:
            raise HttpProblem(422, "bad_query", f"There is no query parameter {name[:40]!r} here.")
        if not re.fullmatch(query.pattern, value) or not value.isprintable():
            raise HttpProblem(422, "bad_query", f"The value of {name} is not right: {query.description}")


async def _authorise(endpoint: Endpoint, request: Request, wiring: Wiring, caller: Caller) -> Room | None:
    """The room of the path, or of the path's sale or order, once the caller may act in it."""
    if endpoint.roles is not None and caller.principal.startswith("address:"):
        raise HttpProblem(401, "sign_in_required", "Choose a nickname or sign in first.")
    room = await _room_of(endpoint, request.path_params, wiring)
    if (
        isinstance(endpoint.roles, frozenset)
        and room is not None
        and caller.role_in(room.room_id) not in endpoint.roles
    ):
        if caller.user is None:
            raise HttpProblem(401, "sign_in_required", "Sign in with an account that works in this room.")
        raise HttpProblem(403, "wrong_role", f"This needs one of: {', '.join(sorted(endpoint.roles))}.")
    return room


async def _room_of(endpoint: Endpoint, path: Mapping[str, str], wiring: Wiring) -> Room | None:
    by_order = "order_id" in path and isinstance(endpoint.roles, frozenset)
    if not ("room_id" in path or "sale_id" in path or by_order):
        return None
    async with wiring.database.read() as c:
        if "room_id" in path:
            room_id = path["room_id"]
        elif "sale_id" in path:
            room_id = (await sale_rows.get(c, path["sale_id"])).room_id
        else:
            room_id = (await orders.get(c, path["order_id"])).room_id
        return await rooms.get(c, room_id)


def _parse(endpoint: Endpoint, request: Request, raw: bytes) -> Any:
    if endpoint.body is None or endpoint.raw:
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and media_type != "application/json":
        raise HttpProblem(415, "json_expected", "Send the body as application/json.")
    try:
        return endpoint.body.model_validate_json(raw or b"{}")
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if any(one["type"] == "json_invalid" for one in found):
            raise HttpProblem(400, "malformed_json", "The body is not JSON.") from None
        errors = [
            {
                "field": ".".join(str(part) for part in one["loc"])[:MAX_FIELD_CHARACTERS],
                "message": one["msg"],
            }
            for one in found[:20]
        ]
        named = ", ".join(sorted({one["field"] for one in errors if one["field"]}))
        raise HttpProblem(422, "bad_fields", f"Not right: {named or 'the body'}.", errors=errors) from None
