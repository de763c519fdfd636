"""Where a merchant's own system hears of orders: addresses, their secrets, what was sent, and sending it again."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from commerce.merchant_webhooks import deliveries, endpoints, messages
from commerce.merchant_webhooks.deliveries import Delivery
from commerce.merchant_webhooks.endpoints import WebhookEndpoint
from live.api.endpoint import CURSOR, LIMIT, OWN, Call, Endpoint, Query, record
from live.api.models import Empty, Model

STATE: Final = Query("state", "One of: pending, delivered, dead.", r"^(pending|delivered|dead)$")
EventType = Annotated[str, StringConstraints(pattern=r"^[a-z.]{1,40}$")]


class NewWebhook(Model):
    url: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    event_types: Annotated[list[EventType], Field(default_factory=list, max_length=20)]


class WebhookShown(Model):
    endpoint_id: str
    url: str
    event_types: list[str]
    state: Literal["active", "disabled"]
    disabled_reason: str | None
    generation: int
    created_at_ms: int
    last_success_at_ms: int | None
    last_failure_at_ms: int | None


class WebhookWithSecret(WebhookShown):
    """`secret` is shown by this answer and never again."""

    secret: str


class Webhooks(Model):
    webhooks: list[WebhookShown]
    event_types: dict[str, str]


class Rotation(Model):
    """The generation that is to be followed, so that a repeated call does not rotate twice."""

    generation: Annotated[int, Field(ge=1, le=1_000_000)]


class DeliveryShown(Model):
    delivery_id: int
    event_id: str
    event_type: str
    state: Literal["pending", "delivered", "dead"]
    tries: int
    created_at_ms: int
    next_try_at_ms: int
    done_at_ms: int | None
    last_status: int | None
    last_error: str | None


class Deliveries(Model):
    deliveries: list[DeliveryShown]
    next_cursor: str | None


class ReplayDead(Model):
    since_ms: Annotated[int, Field(ge=0, le=2**53)] = 0


class Replayed(Model):
    replayed: int


def _shown(found: WebhookEndpoint) -> dict[str, Any]:
    return {name: getattr(found, name) for name in WebhookShown.model_fields}


def _with_secret(call: Call, found: WebhookEndpoint) -> WebhookWithSecret:
    key = call.wiring.settings.key("merchant webhook")
    secret = messages.secret_of(key, found.endpoint_id, found.generation)
    return WebhookWithSecret(**_shown(found), secret=secret)


def _delivery(found: Delivery) -> DeliveryShown:
    return DeliveryShown(**{name: getattr(found, name) for name in DeliveryShown.model_fields})


async def _create(call: Call) -> WebhookWithSecret:
    body: NewWebhook = call.body
    endpoints.check(body.url, body.event_types, https_only=call.wiring.settings.is_production)
    endpoint_id = f"we_{call.action_id[:24]}"
    async with call.wiring.database.begin() as c:
        found = await endpoints.create(
            c, endpoint_id, call.in_room.room_id, body.url, body.event_types, call.now_ms
        )
        await record(
            c, call, "webhook_create", endpoint_id, after={"url": body.url, "event_types": body.event_types}
        )
    return _with_secret(call, found)


async def _list(call: Call) -> Webhooks:
    async with call.wiring.database.read() as c:
        found = await endpoints.list_for_room(c, call.in_room.room_id)
    return Webhooks(
        webhooks=[WebhookShown(**_shown(one)) for one in found], event_types=dict(messages.EVENT_TYPES)
    )


async def _remove(call: Call) -> None:
    endpoint_id = call.parameter("endpoint_id")
    async with call.wiring.database.begin() as c:
        await endpoints.remove(c, call.in_room.room_id, endpoint_id)
        await record(c, call, "webhook_remove", endpoint_id)


async def _rotate(call: Call) -> WebhookWithSecret:
    endpoint_id = call.parameter("endpoint_id")
    async with call.wiring.database.begin() as c:
        found = await endpoints.rotate(
            c, call.in_room.room_id, endpoint_id, call.body.generation, call.now_ms
        )
        await record(c, call, "webhook_rotate", endpoint_id, after={"generation": found.generation})
    return _with_secret(call, found)


async def _enable(call: Call) -> WebhookShown:
    endpoint_id = call.parameter("endpoint_id")
    async with call.wiring.database.begin() as c:
        found = await endpoints.enable(c, call.in_room.room_id, endpoint_id)
        await record(c, call, "webhook_enable", endpoint_id)
    return WebhookShown(**_shown(found))


async def _ping(call: Call) -> Replayed:
    async with call.wiring.database.begin() as c:
        found = await endpoints.get(c, call.in_room.room_id, call.parameter("endpoint_id"))
        await deliveries.ping(c, found, f"evt_ping_{call.action_id[:24]}", call.now_ms)
    return Replayed(replayed=1)


async def _deliveries(call: Call) -> Deliveries:
    async with call.wiring.database.read() as c:
        endpoint = await endpoints.get(c, call.in_room.room_id, call.parameter("endpoint_id"))
        found, next_cursor = await deliveries.list_for_endpoint(
            c, endpoint.endpoint_id, call.query("state"), call.limit, call.query("cursor")
        )
    return Deliveries(deliveries=[_delivery(one) for one in found], next_cursor=next_cursor)


async def _replay(call: Call) -> Replayed:
    async with call.wiring.database.begin() as c:
        endpoint = await endpoints.get(c, call.in_room.room_id, call.parameter("endpoint_id"))
        await deliveries.replay(c, endpoint.endpoint_id, int(call.parameter("delivery_id")), call.now_ms)
        await record(
            c, call, "webhook_replay", endpoint.endpoint_id, after={"delivery": call.parameter("delivery_id")}
        )
    return Replayed(replayed=1)


async def _replay_dead(call: Call) -> Replayed:
    async with call.wiring.database.begin() as c:
        endpoint = await endpoints.get(c, call.in_room.room_id, call.parameter("endpoint_id"))
        count = await deliveries.replay_dead(c, endpoint.endpoint_id, call.body.since_ms, call.now_ms)
        await record(c, call, "webhook_replay", endpoint.endpoint_id, after={"dead": count})
    return Replayed(replayed=count)


def _endpoint(method: str, path: str, summary: str, handler: Any, **options: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/api/rooms/{{room_id}}/webhooks{path}",
        summary=summary,
        tag="merchant webhooks",
        handler=handler,
        roles=OWN,
        **options,
    )


ONE: Final = "/{endpoint_id}"

ENDPOINTS = (
    _endpoint("GET", "", "Where messages go, and the kinds there are", _list, answer=Webhooks),
    _endpoint(
        "POST",
        "",
        "A new address; the answer has its secret, and no later one does",
        _create,
        body=NewWebhook,
        answer=WebhookWithSecret,
        status=201,
        keeps_answer=False,
    ),
    _endpoint("DELETE", ONE, "Send nothing there any more", _remove, status=204),
    _endpoint(
        "POST",
        f"{ONE}/rotate",
        "A new secret; the old one signs beside it for a day",
        _rotate,
        body=Rotation,
        answer=WebhookWithSecret,
        keeps_answer=False,
    ),
    _endpoint("POST", f"{ONE}/enable", "Switch it on again", _enable, body=Empty, answer=WebhookShown),
    _endpoint("POST", f"{ONE}/ping", "Send a test message", _ping, body=Empty, answer=Replayed),
    _endpoint(
        "GET",
        f"{ONE}/deliveries",
        "What was sent, newest first, and what became of it",
        _deliveries,
        answer=Deliveries,
        queries=(STATE, LIMIT, CURSOR),
    ),
    _endpoint(
        "POST",
        f"{ONE}/deliveries/{{delivery_id}}/replay",
        "Send one message once more",
        _replay,
        body=Empty,
        answer=Replayed,
    ),
    _endpoint(
        "POST",
        f"{ONE}/replay-dead",
        "Send all dead messages made since then once more",
        _replay_dead,
        body=ReplayDead,
        answer=Replayed,
    ),
)
