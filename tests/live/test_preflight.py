"""The lights around a sale: a clock that is off and payments that nobody takes are red, whatever else is silent is not."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from commerce.clock import wall_clock_ms
from commerce.errors import Unavailable
from commerce.hot_ledger import connect_redis
from commerce.payments.sandbox import Sandbox
from live.preflight import KEEP_MS, MAX_SKEW_MS, Preflight


class Silent(Sandbox):
    """A provider that nobody reaches."""

    def __init__(self, name: str = "stripe") -> None:
        self._name, self.asked = name, 0

    @property
    def name(self) -> str:
        return self._name

    async def ping(self) -> None:
        self.asked += 1
        raise Unavailable("provider_unavailable", "wrong key")


class Good(Silent):
    async def ping(self) -> None:
        self.asked += 1


@pytest.fixture
def redis(redis_url: str) -> Redis:
    return connect_redis(redis_url)


async def codes(preflight: Preflight) -> list[str]:
    return [problem.code for problem in await preflight.lights()]


async def test_all_is_green_when_clocks_agree_and_one_provider_answers(redis: Redis) -> None:
    providers = {"stripe": Silent(), "alipay": Good("alipay")}
    assert await codes(Preflight(redis, providers, wall_clock_ms)) == []
    await redis.aclose()


@pytest.mark.parametrize("step_ms", [-3 * MAX_SKEW_MS, 3 * MAX_SKEW_MS])
async def test_a_clock_that_is_off_is_red_whichever_way(redis: Redis, step_ms: int) -> None:
    preflight = Preflight(redis, {"sandbox": Good()}, lambda: wall_clock_ms() + step_ms)
    (light,) = await preflight.lights()
    assert light.code == "clock_skew"
    assert any(f"differ by {milliseconds} ms" in light.message for milliseconds in range(2_900, 3_100))
    await redis.aclose()


async def test_payments_are_red_when_nobody_answers_and_are_asked_again_after_a_while(redis: Redis) -> None:
    provider, now_ms = Silent(), wall_clock_ms()
    preflight = Preflight(redis, {"stripe": provider}, lambda: now_ms)
    (light,) = await preflight._can_pay()
    assert (light.code, light.message) == ("payments_down", "stripe: wrong key")
    await preflight._can_pay()
    assert provider.asked == 1
    now_ms += KEEP_MS
    await preflight._can_pay()
    assert provider.asked == 2
    assert [one.code for one in await Preflight(redis, {}, wall_clock_ms)._can_pay()] == ["payments_down"]
    await redis.aclose()


async def test_a_silent_redis_is_no_red_light() -> None:
    redis = connect_redis("redis://127.0.0.1:1/0")
    assert await codes(Preflight(redis, {"sandbox": Good()}, wall_clock_ms)) == []
    await redis.aclose()
