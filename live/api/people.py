"""People and their roles in a room, and invitations: a link by which somebody makes an account of their own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from live import audit, identity, open_consoles, people, rooms
from live.api import desk
from live.api.accounts import open_session
from live.api.endpoint import PRODUCE, Call, Endpoint, record
from live.api.models import Email, Localised, Model, Name, UserShown
from live.limits import SIGN_IN
from live.wiring import new_id

RoleName = Literal["moderator", "analyst", "seller", "host", "owner"]
NewPassword = Annotated[str, StringConstraints(min_length=10, max_length=200)]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{20,60}$")]


class PersonShown(Model):
    user_id: str
    email: str
    name: str
    role: str


class InviteShown(Model):
    invite_id: str
    room_id: str
    email: str
    role: str
    created_at_ms: int
    expires_at_ms: int


class PeopleShown(Model):
    """`here`: the ids of those whose console is open now; null where that can't be said."""

    people: list[PersonShown]
    invites: list[InviteShown]
    here: list[str] | None


class NewPerson(Model):
    email: Email
    role: RoleName


class Added(Model):
    """A person who had an account, or an invitation with the path of its link, which is shown this once."""

    person: PersonShown | None = None
    invite: InviteShown | None = None
    link: str | None = None


class RoleChange(Model):
    role: RoleName


class InviteToken(Model):
    token: Token


class InviteSeen(Model):
    email: str
    role: str
    room_id: str
    room_title: Localised


class AcceptedInvite(Model):
    token: Token
    name: Name
    password: NewPassword


class Welcome(Model):
    user: UserShown
    room_id: str


async def _list(call: Call) -> PeopleShown:
    room_id = call.in_room.room_id
    async with call.wiring.database.read() as c:
        found = await people.list_people(c, room_id)
        waiting = await people.list_invites(c, room_id, call.now_ms)
    here = await open_consoles.who(call.wiring.redis, room_id, call.now_ms)
    return PeopleShown(
        here=None if here is None else sorted(here),
        people=[PersonShown(**asdict(person)) for person in found],
        invites=[InviteShown(**asdict(one)) for one in waiting],
    )


async def _add(call: Call) -> Added:
    body: NewPerson = call.body
    room_id, role = call.in_room.room_id, call.caller.role_in(call.in_room.room_id)
    async with call.wiring.database.begin() as c:
        user_id = await people.user_id_of(c, body.email)
        if user_id is not None:
            person = await people.add(c, role, room_id, user_id, body.role)
            await record(c, call, "person_add", person.name, after={"role": body.role})
            return Added(person=PersonShown(**asdict(person)))
        made, token = await people.make_invite(
            c, role, room_id, body.email, body.role, invite_id=new_id("in"), now_ms=call.now_ms
        )
        await record(c, call, "person_invite", made.email[:128], after={"role": body.role})
    # After the #, so that it is in no server's log.
    return Added(invite=InviteShown(**asdict(made)), link=f"/console#invite={token}")


async def _change(call: Call) -> PersonShown:
    body: RoleChange = call.body
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        before, after = await people.change_role(
            c, call.caller.role_in(room_id), room_id, call.parameter("user_id"), body.role
        )
        await record(
            c, call, "person_role", after.name, before={"role": before.role}, after={"role": after.role}
        )
        room = await rooms.get(c, room_id)
    await desk.tell(call, room)
    return PersonShown(**asdict(after))


async def _remove(call: Call) -> None:
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        gone = await people.remove(c, call.caller.role_in(room_id), room_id, call.parameter("user_id"))
        await record(c, call, "person_remove", gone.name, before={"role": gone.role})
        room = await rooms.get(c, room_id)
    await desk.tell(call, room)


async def _withdraw(call: Call) -> None:
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        gone = await people.withdraw_invite(
            c, call.caller.role_in(room_id), room_id, call.parameter("invite_id")
        )
        await record(c, call, "person_uninvite", gone.email[:128], before={"role": gone.role})


async def _look(call: Call) -> InviteSeen:
    body: InviteToken = call.body
    async with call.wiring.database.read() as c:
        found = await people.find_invite(c, body.token, call.now_ms)
        room = await rooms.get(c, found.room_id)
    return InviteSeen(email=found.email, role=found.role, room_id=found.room_id, room_title=room.title)


async def _accept(call: Call) -> Welcome:
    body: AcceptedInvite = call.body
    database, user_id = call.wiring.database, new_id("us")
    async with database.read() as c:
        found = await people.find_invite(c, body.token, call.now_ms)
    password_hash = await identity.hash_password_apart(body.password)
    async with database.begin() as c:
        await identity.add_user(
            c,
            user_id=user_id,
            email=found.email,
            name=body.name,
            password_hash=password_hash,
            now_ms=call.now_ms,
        )
        await people.use_invite(c, found, user_id)
        await audit.record(
            c,
            call.caller,
            found.room_id,
            "person_join",
            body.name,
            at_ms=call.now_ms,
            call_id=f"invite:{found.invite_id}",
            after={"role": found.role},
        )
        user = await open_session(c, call, user_id)
    return Welcome(user=user, room_id=found.room_id)


def _endpoint(method: str, path: str, summary: str, handler: Any, **options: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/api/rooms/{{room_id}}/{path}",
        summary=summary,
        tag="people",
        handler=handler,
        roles=PRODUCE,
        **options,
    )


ENDPOINTS = (
    _endpoint("GET", "people", "Who works in this room, and who is invited", _list, answer=PeopleShown),
    _endpoint(
        "POST",
        "people",
        "Give an account a role here, or invite somebody who has none: the link is told once",
        _add,
        body=NewPerson,
        answer=Added,
        status=201,
        keeps_answer=False,  # a link is a credential; again makes a new one and ends the one before
    ),
    _endpoint("PUT", "people/{user_id}", "Give another role", _change, body=RoleChange, answer=PersonShown),
    _endpoint("DELETE", "people/{user_id}", "Take the role away; the account stays", _remove, status=204),
    _endpoint("DELETE", "invites/{invite_id}", "Withdraw an invitation", _withdraw, status=204),
    Endpoint(
        method="POST",
        path="/api/invites/look",
        summary="What an invitation is for",
        tag="people",
        handler=_look,
        body=InviteToken,
        answer=InviteSeen,
        limit=SIGN_IN,
        keeps_answer=False,
    ),
    Endpoint(
        method="POST",
        path="/api/invites/accept",
        summary="Make an account by an invitation, and sign in with it",
        tag="people",
        handler=_accept,
        body=AcceptedInvite,
        answer=Welcome,
        status=201,
        limit=SIGN_IN,
        keeps_answer=False,
    ),
)
