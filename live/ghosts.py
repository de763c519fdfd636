"""`flashroom ghosts`: a simulated audience of real WebSocket clients for the sample room. They chat, like, and buy when a sale opens.

Ghosts carry a mark in cookie and ticket, are never counted as people, and leave at least a part of every sale to people. All they do
goes the way a viewer's browser goes: the hub for talking and holds, the HTTP API for orders and payments.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, Final

import httpx

from commerce.clock import wall_clock_ms
from live import ghost_words, identity, processes
from live.ghost_words import Words
from live.seed import ROOM_ID
from live.settings import Settings
from realtime.client import RoomClient
from realtime.protocol import CommandError

log = logging.getLogger("flashroom.ghosts")

HTTP_TIMEOUT_S: Final = 15.0
ARRIVE_EVERY_S: Final = 0.3
"""Fifty ghosts take a quarter of a minute to come in."""
STAY_S: Final = (180.0, 900.0)
AWAY_S: Final = (10.0, 60.0)
BETWEEN_ACTS_S: Final = 70.0
"""Mean pause of one ghost between two things it does: fifty of them make a lively room and cost little."""
SHARE_OF_SALE: Final = 0.65
RUSH_SHARE: Final = 0.35
RUSH_S: Final = 4.0
TRICKLE_S: Final = 30.0
STRAGGLE_S: Final = 30.0
SHARE_OF_STRAGGLERS: Final = 0.5
MAX_SHOPPERS: Final = 200
RETRY_S: Final = 5.0
CHINESE_SHARE: Final = 0.65

GOOD, DECLINED, POOR = "4242424242424242", "4000000000000002", "4000000000009995"
LATE, TWICE, OUT_OF_ORDER = "4000000000000341", "4000000000000259", "4000000000003220"
CARDS: Final[tuple[tuple[tuple[str, ...], int], ...]] = (
    ((GOOD,), 76),
    ((DECLINED, GOOD), 9),
    ((POOR,), 4),
    ((LATE,), 4),
    ((TWICE,), 4),
    ((OUT_OF_ORDER,), 3),
)
"""Cards that a shopper tries one after the other, and how often out of 100."""
JUST_NOW_MS: Final = 5_000
LETS_EXPIRE: Final = 0.08
CHANGES_MIND: Final = 0.05
WAITS_IN_LINE: Final = 0.6
ADDRESSES: Final = (
    {"line1": "88 Xihu Road", "city": "Hangzhou", "postcode": "310000", "country": "CN"},
    {"line1": "12 Rua das Flores", "city": "Lisbon", "postcode": "1200-195", "country": "PT"},
    {"line1": "5 Wukang Road", "city": "Shanghai", "postcode": "200031", "country": "CN"},
    {"line1": "41 Lark Lane", "city": "Liverpool", "postcode": "L17 8UW", "country": "GB"},
)


def run(settings: Settings) -> None:
    """Keep FLASHROOM_GHOSTS ghosts in the sample room until SIGTERM."""
    processes.run_until_stopped(lambda stop: serve(settings, stop))


async def serve(settings: Settings, stop: asyncio.Event, room_id: str = ROOM_ID) -> None:
    """The audience until `stop`. It waits for web and hub as long as that takes."""
    async with httpx.AsyncClient(
        base_url=settings.local_web_url, timeout=HTTP_TIMEOUT_S, trust_env=False
    ) as client:
        audience = Audience(settings, client, room_id, random.Random())
        watching = asyncio.create_task(audience.run(settings.ghosts), name="audience")
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, stopped):
            task.cancel()
        await asyncio.gather(watching, stopped, return_exceptions=True)
        if not stop.is_set():
            watching.result()


def _has_just_opened(sale: Mapping[str, Any]) -> bool:
    """Whether a sale first heard of opened under our eyes, and is not one that was running when we came."""
    opened_ms = sale.get("opens_at_ms") or 0
    return bool(sale["state"] == "open") and opened_ms > wall_clock_ms() - JUST_NOW_MS


class Ghost:
    """One simulated viewer: a name, a language, a cookie, and a connection while it is in the room."""

    def __init__(self, name: str, language: str, cookie: str) -> None:
        self.name = name
        self.language = language
        self.headers = {"Cookie": f"flashroom_viewer={cookie}"}
        self.client: RoomClient | None = None


class Audience:
    """All ghosts of a room, and what they know in common: what is pinned, and which sales run."""

    def __init__(
        self, settings: Settings, http: httpx.AsyncClient, room_id: str, chance: random.Random
    ) -> None:
        self._settings = settings
        self._http = http
        self._room_id = room_id
        self._chance = chance
        self._ghosts: list[Ghost] = []
        self._sales: dict[str, Mapping[str, Any]] = {}
        self._stock: dict[str, Mapping[str, Any]] = {}
        self._pinned: str | None = None
        self._shopping: set[asyncio.Task[None]] = set()

    async def run(self, count: int) -> None:
        """Let `count` ghosts come and go until cancelled."""
        for number in range(count):
            self._ghosts.append(self._new_ghost(number))
        arrive_within_s = count * ARRIVE_EVERY_S
        try:
            async with asyncio.TaskGroup() as group:
                for ghost in self._ghosts:
                    group.create_task(self._haunt(ghost, arrive_within_s), name=f"ghost {ghost.name}")
                group.create_task(asyncio.Event().wait())  # with no ghosts: just be there
        finally:
            for task in self._shopping:
                task.cancel()
            await asyncio.gather(*self._shopping, return_exceptions=True)

    def _new_ghost(self, number: int) -> Ghost:
        language = "zh" if self._chance.random() < CHINESE_SHARE else "en"
        names = ghost_words.NAMES[language]
        taken = {ghost.name for ghost in self._ghosts}
        free = [name for name in names if name not in taken]
        name = self._chance.choice(free) if free else f"{self._chance.choice(names)}{number}"
        guest = identity.Guest(
            f"gu_ghost{uuid.uuid4().hex[:16]}", name[: identity.MAX_NAME_CHARACTERS], ghost=True
        )
        return Ghost(name, language, identity.sign_guest(self._settings.key("guest"), guest, wall_clock_ms()))

    # -- being there

    async def _haunt(self, ghost: Ghost, arrive_within_s: float) -> None:
        await asyncio.sleep(self._chance.uniform(0, arrive_within_s))
        while True:
            try:
                await self._visit(ghost)
                pause_s = self._chance.uniform(*AWAY_S)
            except (OSError, TimeoutError) as error:
                log.debug("%s could not stay: %s", ghost.name, error)
                pause_s = self._chance.uniform(1, RETRY_S)
            await asyncio.sleep(pause_s)

    async def _visit(self, ghost: Ghost) -> None:
        """One stay in the room; raises OSError or TimeoutError when there is no way in."""
        hub_url = f"{self._settings.local_web_url.replace('http', 'ws', 1).rsplit(':', 1)[0]}:{self._settings.hub_port}/v1"
        client = RoomClient(hub_url, lambda: self._ticket(ghost))
        client.on_value = self._take_value
        client.on_personal = partial(self._take_personal, ghost)
        try:
            await client.__aenter__()
            ghost.client = client
            await self._linger(ghost, self._chance.uniform(*STAY_S))
        finally:
            ghost.client = None
            await client.__aexit__()

    async def _linger(self, ghost: Ghost, seconds: float) -> None:
        if self._chance.random() < 0.35:
            await asyncio.sleep(self._chance.uniform(1, 6))
            await self._say(ghost, ghost_words.ARRIVING)
        until_s = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until_s:
            await asyncio.sleep(self._chance.expovariate(1 / BETWEEN_ACTS_S))
            if self._chance.random() < 0.55:
                await self._command(ghost, "like", count=self._chance.randint(1, 9))
            else:
                await self._say(ghost, self._topic())

    async def _ticket(self, ghost: Ghost) -> str:
        try:
            answer = await self._post(ghost, f"/api/rooms/{self._room_id}/tickets", {})
        except httpx.HTTPError as error:
            raise OSError(str(error)) from error
        if answer.status_code >= 400:
            raise OSError(f"no ticket: {answer.status_code}")
        return str(answer.json()["ticket"])

    # -- talking

    def _topic(self) -> Words:
        about = ghost_words.ABOUT.get(self._pinned or "")
        return about if about is not None and self._chance.random() < 0.65 else ghost_words.CHATTING

    async def _say(self, ghost: Ghost, words: Words, **facts: object) -> None:
        lines = [line for line in words[ghost.language] if facts or "{" not in line]
        await self._command(ghost, "comment", text=self._chance.choice(lines).format(**facts))

    async def _command(self, ghost: Ghost, name: str, **params: Any) -> dict[str, Any] | None:
        """The reply, or None when it was refused or the ghost is away: a ghost takes no for an answer."""
        if ghost.client is None:
            return None
        try:
            return await ghost.client.command(name, **params)
        except CommandError as error:
            log.debug("%s: %s was refused: %s", ghost.name, name, error.code)
            return None

    # -- sales

    def _take_value(self, key: str, data: Any) -> None:
        """Every ghost's connection brings every value; the first to bring a change is the one that counts."""
        kind, _, sale_id = key.partition(":")
        if kind == "pin":
            self._pinned = (data or {}).get("product_id")
        elif kind == "stock" and data is not None:
            self._stock[sale_id] = data
        elif kind == "sale" and data is not None:
            before = self._sales.get(sale_id, {}).get("state")
            self._sales[sale_id] = data
            if before is None and _has_just_opened(data):
                before = "countdown"  # values are conflated: a short countdown is never seen
            if before is not None and before != data["state"]:
                self._on_sale(data, before)
        elif kind == "sale":
            self._sales.pop(sale_id, None)

    def _on_sale(self, sale: Mapping[str, Any], before: str) -> None:
        state = sale["state"]
        if state == "countdown":
            self._some_say(ghost_words.COUNTDOWN, 4, within_s=5, price=_price(sale))
        elif state == "open" and before in ("armed", "countdown", "ready"):
            self._some_say(ghost_words.OPENED, 3, within_s=3, left=self._left(sale))
            self._send_shoppers(sale)
        elif state == "draining":
            words = ghost_words.SOLD_OUT if sale.get("state_reason") == "sold_out" else ghost_words.ENDED
            self._some_say(words, 5, within_s=8)

    def _left(self, sale: Mapping[str, Any]) -> int:
        return int(self._stock.get(sale["sale_id"], {}).get("available", sale["quota"]))

    def _present(self) -> list[Ghost]:
        return [ghost for ghost in self._ghosts if ghost.client is not None]

    def _some_say(self, words: Words, count: int, *, within_s: float, **facts: object) -> None:
        present = self._present()
        for ghost in self._chance.sample(present, min(count, len(present))):
            self._own(self._say_later(self._chance.uniform(0.3, within_s), ghost, words, facts))

    def _send_shoppers(self, sale: Mapping[str, Any]) -> None:
        """A rush at the opening and a trickle that together want less than the quota, so that people find units too; then
        stragglers who want more than is left, so that a long sale sells out and a line forms."""
        present = self._chance.sample(self._present(), len(self._present()))
        early = max(1, round(sale["quota"] * SHARE_OF_SALE))
        late = round(sale["quota"] * SHARE_OF_STRAGGLERS)
        for ghost in present[:early]:
            if self._chance.random() < RUSH_SHARE:
                delay_s = min(RUSH_S, self._chance.lognormvariate(0.1, 0.6))
            else:
                delay_s = RUSH_S + self._chance.uniform(0, TRICKLE_S)
            self._own(self._shop_later(delay_s, ghost, sale["sale_id"]))
        for ghost in present[early : early + late]:
            delay_s = STRAGGLE_S + self._chance.uniform(0, TRICKLE_S)
            self._own(self._shop_later(delay_s, ghost, sale["sale_id"]))

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._shopping) >= MAX_SHOPPERS:
            work.close()
            return
        task = asyncio.create_task(work)
        self._shopping.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._shopping.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a ghost stumbled: %r", error)

    async def _say_later(
        self, delay_s: float, ghost: Ghost, words: Words, facts: Mapping[str, object]
    ) -> None:
        await asyncio.sleep(delay_s)
        await self._say(ghost, words, **facts)

    async def _shop_later(self, delay_s: float, ghost: Ghost, sale_id: str) -> None:
        await asyncio.sleep(delay_s)
        await self._shop(ghost, sale_id)

    async def _shop(self, ghost: Ghost, sale_id: str) -> None:
        """Tap Buy; when all units are held, perhaps stand in line."""
        if self._sales.get(sale_id, {}).get("state") != "open":
            return
        decision = await self._command(
            ghost, "hold", request_id=uuid.uuid4().hex, sale_id=sale_id, quantity=1
        )
        if decision is None:
            return
        if decision["decision"] == "granted":
            await self._use(ghost, decision)
        elif decision["decision"] == "refused":
            if self._chance.random() < 0.3:
                words = ghost_words.ALL_HELD if decision["reason"] == "all_held" else ghost_words.SOLD_OUT
                await self._say(ghost, words)
            if decision["reason"] == "all_held" and self._chance.random() < WAITS_IN_LINE:
                await self._command(
                    ghost, "waitlist_join", request_id=uuid.uuid4().hex, sale_id=sale_id, quantity=1
                )

    def _take_personal(self, ghost: Ghost, type_: str, data: dict[str, Any]) -> None:
        """A lot that was drawn, or a unit that came back to the head of the line."""
        is_hold = type_ in ("hold_granted", "hold_promoted") and data.get("token")
        if is_hold and data["expires_at_ms"] > wall_clock_ms():  # an old one may be told again on coming back
            self._own(self._use(ghost, data))

    async def _use(self, ghost: Ghost, hold: Mapping[str, Any]) -> None:
        """Do what people do with a hold: pay, change their mind, or forget it."""
        if self._chance.random() < 0.15:
            await self._say(ghost, ghost_words.HELD)
        if self._chance.random() < LETS_EXPIRE:
            return
        await asyncio.sleep(self._chance.uniform(2, 9))
        if self._chance.random() < CHANGES_MIND:
            await self._command(ghost, "release", hold_id=hold["hold_id"], sale_id=hold["sale_id"])
            return
        try:
            await self._check_out(ghost, str(hold["token"]))
        except httpx.HTTPError as error:
            log.debug("%s gave up: %s", ghost.name, error)

    async def _check_out(self, ghost: Ghost, token: str) -> None:
        address = {**self._chance.choice(ADDRESSES), "contact": f"{uuid.uuid4().hex[:12]}@ghosts.invalid"}
        body = {"hold_token": token, "name": ghost.name, "address": address}
        answer = await self._post(ghost, "/api/orders", body)
        if answer.status_code >= 400:
            log.debug("%s: no order: %s", ghost.name, answer.status_code)
            return
        order_id = answer.json()["order_id"]
        (cards,) = self._chance.choices([cards for cards, _ in CARDS], [weight for _, weight in CARDS])
        for card in cards:
            await asyncio.sleep(self._chance.uniform(1.5, 6))
            answer = await self._post(
                ghost, f"/api/orders/{order_id}/payments", {"method": "card", "card_number": card}
            )
            if answer.status_code >= 400:
                return
            if answer.json()["payment"]["state"] != "declined":
                if self._chance.random() < 0.3:
                    await self._say(ghost, ghost_words.BOUGHT)
                return
            if self._chance.random() < 0.4:
                await self._say(ghost, ghost_words.DECLINED)

    async def _post(self, ghost: Ghost, path: str, body: dict[str, Any]) -> httpx.Response:
        headers = {**ghost.headers, "Idempotency-Key": uuid.uuid4().hex}
        return await self._http.post(path, json=body, headers=headers)


def _price(sale: Mapping[str, Any]) -> str:
    whole, rest = divmod(int(sale["price_minor"]), 100)
    sign = "¥" if sale["currency"] == "CNY" else ""
    return f"{sign}{whole}.{rest:02}" if rest else f"{sign}{whole}"
