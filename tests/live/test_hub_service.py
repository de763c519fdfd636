"""The hub's commands that commerce answers: what may come in, and whose pages may ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from commerce.errors import Unavailable
from live.hub_service import allowed_origins, commands, hub_settings, sale_state
from live.settings import Settings
from realtime.broker import Broker
from realtime.protocol import CommandError
from realtime.tickets import Viewer

VIEWER = Viewer("gu_1", "Ann", "viewer", "rm_1")
GHOST = Viewer("gu_2", "Boo", "viewer", "rm_1", ghost=True)
GOOD: Mapping[str, Any] = {"request_id": "request-1", "sale_id": "sl_1", "quantity": 1}


class Desk:
    """Stands where HoldDesk stands, and writes down what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[Any] = []
        self.error = error

    async def hold(self, room_id: str, sale_id: str, request: Any) -> dict[str, Any]:
        self.asked.append((room_id, sale_id, request))
        if self.error is not None:
            raise self.error
        return {"decision": "granted", "reason": "granted"}

    async def release(self, *asked: str) -> bool:
        self.asked.append(asked)
        return True


async def test_a_hold_is_asked_for_in_the_name_of_the_ticket_not_of_the_message() -> None:
    desk: Any = Desk()
    await commands(desk)["hold"](
        VIEWER, {**GOOD, "buyer_id": "gu_other", "ghost": True, "room_id": "rm_other"}
    )
    ((room_id, sale_id, request),) = desk.asked
    assert (room_id, sale_id, request.buyer_id, request.ghost) == ("rm_1", "sl_1", "gu_1", False)


async def test_a_ghosts_hold_is_marked() -> None:
    desk: Any = Desk()
    await commands(desk)["hold"](GHOST, dict(GOOD))
    assert desk.asked[0][2].ghost


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_id": "short"},
        {"request_id": "x" * 65},
        {"request_id": 12345678},
        {"request_id": "with space"},
        {"request_id": None},
        {"sale_id": "sl_1}:sale:{x"},
        {"sale_id": ""},
        {"sale_id": ["sl_1"]},
        {"quantity": 0},
        {"quantity": 100},
        {"quantity": True},
        {"quantity": 1.5},
        {"quantity": "1"},
    ],
)
async def test_a_wrong_hold_is_refused_before_it_reaches_redis(wrong: dict[str, Any]) -> None:
    desk: Any = Desk()
    with pytest.raises(CommandError) as refused:
        await commands(desk)["hold"](VIEWER, {**GOOD, **wrong})
    assert refused.value.code == "bad_params"
    assert desk.asked == []


async def test_release_lets_go_only_of_the_viewers_own() -> None:
    desk: Any = Desk()
    answer = await commands(desk)["release"](VIEWER, {"hold_id": "hd_1", "sale_id": "sl_1"})
    assert answer == {"released": True}
    assert desk.asked == [("rm_1", "sl_1", "hd_1", "gu_1")]


async def test_a_silent_redis_is_a_coded_refusal_that_says_when_to_try_again() -> None:
    desk: Any = Desk(Unavailable("redis_unavailable", "The sale can't answer right now."))
    with pytest.raises(CommandError) as refused:
        await commands(desk)["hold"](VIEWER, dict(GOOD))
    assert refused.value.code == "redis_unavailable"
    assert refused.value.extra["retry_after_ms"] > 0


def test_on_this_machine_only_its_own_pages_may_open_a_socket(settings: Settings) -> None:
    origins = allowed_origins(settings)
    assert origins is not None
    assert {"http://127.0.0.1:8000", "http://localhost:8000"} <= set(origins)
    assert "http://evil.example" not in origins


def test_a_public_show_names_its_one_origin(settings: Settings) -> None:
    public = replace(settings, public_web_url="https://show.example/x", host="0.0.0.0")
    assert allowed_origins(public) == ("https://show.example",)


class ForgetfulDesk(Desk):
    """A hot ledger that does not know the sale."""

    async def hold(self, room_id: str, sale_id: str, request: Any) -> dict[str, Any]:
        return {"decision": "refused", "reason": "not_loaded"}


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ((7, {"state": "published"}), "ended"),
        ((7, {"state": "settled"}), "ended"),
        ((7, None), "not_open"),
        ((7, {"state": "open"}), "not_loaded"),
        (None, "not_loaded"),
    ],
)
async def test_a_tap_on_a_sale_that_redis_has_rightly_forgotten_gets_a_final_reason(
    redis_url: str, shown: tuple[int, Any] | None, reason: str
) -> None:
    broker = await Broker.connect(redis_url)
    sale_id = f"sl_{reason}_{shown is None}_{shown and shown[1] and shown[1]['state']}"
    if shown is not None:
        await broker.publish("rm_1", values={f"sale:{sale_id}": shown})
    desk: Any = ForgetfulDesk()
    handlers = commands(desk, lambda room_id, sale: sale_state(broker, room_id, sale))
    answer = await handlers["hold"](VIEWER, {**GOOD, "sale_id": sale_id})
    await broker.aclose()
    assert answer == {"decision": "refused", "reason": reason}


def test_each_hub_process_allows_its_share_of_an_addresses_connections(settings: Settings) -> None:
    alone = hub_settings(replace(settings, hub_processes=1, trusted_proxies=("10.0.0.0/8",)))
    many = hub_settings(replace(settings, hub_processes=8))
    assert alone.trusted_proxies == ("10.0.0.0/8",)
    assert many.max_connections_per_address * 8 == alone.max_connections_per_address
    assert hub_settings(replace(settings, hub_processes=64)).max_connections_per_address == 100
