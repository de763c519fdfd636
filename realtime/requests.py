"""The command `request`: a viewer asks the host to show an item. Counted in Redis, each viewer once per item until it is shown.

What Redis loses is lost with it: these are wishes, neither money nor words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from realtime import protocol
from realtime.addresses import is_local
from realtime.broker import Broker, key_of
from realtime.protocol import CommandError, Value
from realtime.tickets import Viewer

WINDOW_MS: Final = 10_000
PER_VIEWER: Final = 10
PER_ADDRESS: Final = 200
"""Of all viewers behind one address together: a campus shares one, a crowd of made-up guests too."""
MOST_PER_ITEM: Final = 20_000
"""So many who asked are remembered for an item; a count that has come so far stays there."""
MAX_ITEMS: Final = 200
REFUSALS: Final = {
    "banned": "You are banned from this room.",
    "muted": "You are muted for a while.",
    "rate_limited": "You are asking too fast.",
    "unknown_item": "There is no such item in this room.",
    "shown_now": "The host shows it right now.",
}
_ITEM: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Asked:
    """How many ask for the item, as of when; `is_news` when this one was not counted before."""

    count: int
    at_ms: int
    is_news: bool


class Requests:
    """What the viewers of each room ask to see. Any process may use it; whoever changes something publishes it with `tell`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._request, self._clear = (
            broker.redis.register_script((_HERE / f"{name}.lua").read_text())
            for name in ("request", "clear_requests")
        )

    async def ask(self, viewer: Viewer, params: dict[str, Any]) -> Asked:
        """One viewer's wish, in the name of the ticket. Raises CommandError with the reason, RedisError."""
        item = protocol.text_parameter(params, "product_id", 1, 64)
        if not _ITEM.fullmatch(item):
            raise CommandError("bad_params", "product_id may have letters, digits, _ and - only")
        address = viewer.viewer_id if is_local(viewer.address) else viewer.address
        names = (
            *("requests", f"requests:{item}", "requestable", "values", "muted", "banned"),
            *(f"request-rate:{viewer.viewer_id}", f"request-rate-address:{address or viewer.viewer_id}"),
        )
        code, wait_ms, *more = await self._request(
            keys=[key_of(viewer.room_id, name) for name in names],
            args=[
                *(viewer.viewer_id, item, "0" if viewer.ghost else "1"),
                *(WINDOW_MS, PER_VIEWER, PER_ADDRESS, MOST_PER_ITEM),
            ],
        )
        refusal = REFUSALS.get(code.decode())
        if refusal is not None:
            raise CommandError(code.decode(), refusal, retry_after_ms=int(wait_ms))
        count, at_ms, is_news = map(int, more)
        return Asked(count, at_ms, bool(is_news))

    async def allow(self, room_id: str, items: Collection[str]) -> None:
        """These items may be asked for, and no others. Raises RedisError."""
        key = key_of(room_id, "requestable")
        async with self._broker.redis.pipeline(transaction=True, shard_hint=key) as pipe:
            pipe.delete(key)
            if items:
                pipe.sadd(key, *list(items)[:MAX_ITEMS])
            await pipe.execute()

    async def clear(self, room_id: str, items: Sequence[str] | None = None) -> None:
        """These items were shown, or are gone (None: all): nobody asks for them any more. Raises RedisError, CommandError."""
        if items is None:
            items = [*(await self.read(room_id))[1]["items"]]
        keys = [key_of(room_id, name) for name in ("requests", *(f"requests:{item}" for item in items))]
        if items and await self._clear(keys=keys, args=list(items)):
            await self.tell(room_id)

    async def read(self, room_id: str) -> Value:
        """The value `requests` as it stands."""
        stored: Any = await self._broker.redis.hgetall(key_of(room_id, "requests"))
        counts = {name.decode(): tuple(map(int, data.split(b":"))) for name, data in stored.items()}
        (version,) = counts.pop("version", (0,))
        items = dict(sorted(counts.items(), key=lambda one: -one[1][0])[:MAX_ITEMS])
        return version, {"total": sum(count for count, _ in items.values()), "items": items}

    async def tell(self, room_id: str) -> None:
        """Show the room what is asked for now; nobody hears what they know already. Raises RedisError, CommandError."""
        version, value = await self.read(room_id)
        if version:
            await self._broker.publish(room_id, values={"requests": (version, value)})
