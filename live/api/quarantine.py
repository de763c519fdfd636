"""Payments of a wrong amount or currency, and what an owner decides about them."""

from __future__ import annotations

from typing import Any, Final

from commerce.database import Database
from commerce.payments import attempts, quarantine
from commerce.payments.attempts import Attempt
from live.api.asking import asking
from live.api.endpoint import OWN, Call, Endpoint
from live.api.models import Empty, Line80, Model
from live.console import Action, audited_payment

MAX_SHOWN: Final = 100


class Quarantined(Model):
    attempt_id: str
    order_id: str
    provider: str
    provider_ref: str | None
    amount_minor: int
    currency: str
    received_minor: int | None
    received_currency: str | None
    state: str
    reason: str | None
    changed_at_ms: int


class QuarantinedList(Model):
    payments: list[Quarantined]


class Handled(Model):
    note: Line80


def _shown(attempt: Attempt) -> Quarantined:
    return Quarantined(**{name: getattr(attempt, name) for name in Quarantined.model_fields})


async def _list(call: Call) -> QuarantinedList:
    async with call.wiring.database.read() as c:
        found = await attempts.list_quarantined(c, call.in_room.room_id, MAX_SHOWN)
    return QuarantinedList(payments=[_shown(attempt) for attempt in found])


async def _send_back(call: Call) -> Quarantined:
    attempt_id, room_id = call.parameter("attempt_id"), call.in_room.room_id
    async with asking(call, "payment_send_back", attempt_id, {}):
        async with _audited(call, "payment_send_back").begin() as c:
            attempt = await quarantine.send_back(c, room_id, attempt_id, call.now_ms)
    return _shown(attempt)


async def _handled(call: Call) -> Quarantined:
    attempt_id, room_id = call.parameter("attempt_id"), call.in_room.room_id
    async with _audited(call, "payment_handled").begin() as c:
        attempt = await quarantine.handled(c, room_id, attempt_id, call.body.note, call.now_ms)
    return _shown(attempt)


def _audited(call: Call, action: str) -> Database:
    done = Action(call.caller, action, call.action_id, call.now_ms, call.wiring.settings.cool_down_ms)
    return audited_payment(call.wiring.database, done, call.parameter("attempt_id"))


def _endpoint(method: str, path: str, summary: str, handler: Any, answer: Any, **options: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/api/rooms/{{room_id}}/quarantine{path}",
        summary=summary,
        tag="after sales",
        handler=handler,
        roles=OWN,
        answer=answer,
        **options,
    )


ENDPOINTS = (
    _endpoint("GET", "", "Payments that wait for a person", _list, QuarantinedList),
    _endpoint("POST", "/{attempt_id}/send-back", "Send back what came", _send_back, Quarantined, body=Empty),
    _endpoint(
        "POST", "/{attempt_id}/handled", "It was seen to at the provider", _handled, Quarantined, body=Handled
    ),
)
