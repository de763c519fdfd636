"""Guests with a nickname, accounts of buyers and of people who work in rooms, and tickets for the hub."""

from __future__ import annotations

from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from live import identity, origins, shows
from live.api import models
from live.api.endpoint import GUEST_COOKIE, SESSION_COOKIE, Call, Endpoint, session_token
from live.api.models import Empty, SignIn
from live.identity import Guest, User
from live.limits import NEW_GUEST, SIGN_IN
from live.problems import HttpProblem
from live.wiring import new_id
from realtime.tickets import TICKET_TTL_MS, Viewer, sign_ticket


async def _new_guest(call: Call) -> models.Viewer:
    body: models.NewGuest = call.body
    known = call.caller.guest
    # A new nickname keeps the guest's holds and orders.
    guest = Guest(known.viewer_id if known else new_id("gu"), body.nickname, known.ghost if known else False)
    cookie = identity.sign_guest(call.wiring.settings.key("guest"), guest, call.now_ms)
    call.cookies.append((GUEST_COOKIE, cookie))
    return models.Viewer(viewer_id=guest.viewer_id, name=guest.name, ghost=guest.ghost)


async def _new_account(call: Call) -> models.SignedIn:
    """An account is one buyer on all its devices; a role in a room is given by the room's owner."""
    body: models.NewAccount = call.body
    user_id = new_id("us")
    password_hash = await identity.hash_password_apart(body.password)
    async with call.wiring.database.begin() as c:
        await identity.add_user(
            c,
            user_id=user_id,
            email=body.email,
            name=body.name,
            password_hash=password_hash,
            now_ms=call.now_ms,
        )
        return models.SignedIn(user=await open_session(c, call, user_id))


async def open_session(c: AsyncConnection, call: Call, user_id: str) -> models.UserShown:
    """Sign the caller in, in a transaction of theirs: the cookie goes out with the answer, which is not sent when the block fails."""
    token = await identity.open_session(c, user_id, call.now_ms)
    user = await identity.get_user(c, user_id)
    assert user is not None
    call.cookies.append((SESSION_COOKIE, token))
    return user_shown(user)


async def _sign_in(call: Call) -> models.SignedIn:
    body: SignIn = call.body
    database = call.wiring.database
    async with database.read() as c:
        known = await identity.credentials(c, body.email)
    user_id, password_hash, totp_secret = known or (None, None, None)
    matches = await identity.check_password(password_hash, body.password)
    if user_id is None or not matches:
        raise HttpProblem(401, "wrong_credentials", "E-mail address or password is wrong.")
    if not identity.totp_matches(totp_secret, body.totp):
        code = "totp_required" if body.totp is None else "wrong_credentials"
        raise HttpProblem(401, code, "Enter the six digits of your authenticator.")
    if totp_secret is not None and not await _is_fresh(call, user_id, str(body.totp)):
        raise HttpProblem(
            401, "wrong_credentials", "These six digits were used already. Wait for the next ones."
        )
    async with database.begin() as c:
        return models.SignedIn(user=await open_session(c, call, user_id))


async def _is_fresh(call: Call, user_id: str, code: str) -> bool:
    """Whether the digits are used for the first time (RFC 6238 section 5.2). With Redis gone the password alone stands with them."""
    try:
        key = f"flashroom:totp:{user_id}:{code}"
        return bool(await call.wiring.redis.set(key, 1, nx=True, px=identity.TOTP_GOOD_FOR_MS))
    except (RedisError, OSError, TimeoutError):
        return True


async def _sign_out(call: Call) -> None:
    token = session_token(call.request)
    if token is not None:
        async with call.wiring.database.begin() as c:
            await identity.close_session(c, token)
    call.cookies.append((SESSION_COOKIE, None))


async def _me(call: Call) -> models.Me:
    guest, user = call.caller.guest, call.caller.user
    return models.Me(
        viewer=models.Viewer(viewer_id=guest.viewer_id, name=guest.name, ghost=guest.ghost)
        if guest
        else None,
        user=user_shown(user) if user else None,
    )


async def _ticket(call: Call) -> models.Ticket:
    caller, room = call.caller, call.in_room
    role = caller.role_in(room.room_id) or "viewer"
    viewer = Viewer(
        viewer_id=call.buyer_id,
        name=caller.name,
        role=role,
        room_id=room.room_id,
        ghost=caller.ghost,
        account=caller.user is not None,
    )
    if role == "viewer" and not caller.ghost:
        await shows.count_view(call.wiring.redis, room, viewer.viewer_id)
    settings = call.wiring.settings
    return models.Ticket(
        ticket=sign_ticket(settings.key("ticket"), viewer, call.now_ms),
        hub_url=origins.hub_url(settings, call.request.headers.get("host")),
        expires_at_ms=call.now_ms + TICKET_TTL_MS,
        viewer=models.Viewer(viewer_id=viewer.viewer_id, name=viewer.name, role=role, ghost=viewer.ghost),
    )


def user_shown(user: User) -> models.UserShown:
    return models.UserShown(user_id=user.user_id, email=user.email, name=user.name, roles=dict(user.roles))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/guests",
        summary="Choose a nickname; sets the viewer's cookie",
        tag="accounts",
        handler=_new_guest,
        body=models.NewGuest,
        answer=models.Viewer,
        status=201,
        limit=NEW_GUEST,
        keeps_answer=False,
    ),
    Endpoint(
        method="POST",
        path="/api/accounts",
        summary="Make an account and sign in: one buyer, with one limit per sale, on all its devices",
        tag="accounts",
        handler=_new_account,
        body=models.NewAccount,
        answer=models.SignedIn,
        status=201,
        limit=SIGN_IN,
        keeps_answer=False,
    ),
    Endpoint(
        method="POST",
        path="/api/sessions",
        summary="Sign in with e-mail, password and, where set up, six digits",
        tag="accounts",
        handler=_sign_in,
        body=SignIn,
        answer=models.SignedIn,
        status=201,
        limit=SIGN_IN,
        keeps_answer=False,
    ),
    Endpoint(
        method="DELETE",
        path="/api/sessions/current",
        summary="Sign out",
        tag="accounts",
        handler=_sign_out,
        status=204,
        keeps_answer=False,
    ),
    Endpoint(
        method="GET",
        path="/api/me",
        summary="Who am I: the viewer's nickname and the signed-in account",
        tag="accounts",
        handler=_me,
        answer=models.Me,
    ),
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/tickets",
        summary="A ticket to join the room's WebSocket (realtime/PROTOCOL.md)",
        tag="accounts",
        handler=_ticket,
        roles="viewer",
        body=Empty,
        answer=models.Ticket,
        keeps_answer=False,
    ),
)
