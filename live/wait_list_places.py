"""Tells those who wait in line when their place moves: somebody before them was served, or left."""

from __future__ import annotations

from typing import Final

from commerce.hot_ledger import HotLedger
from realtime.broker import Broker

TOLD: Final = 200
"""So many from the head of each line; further back a place says little, and their turn in this comes."""
LINES: Final = 500


class Places:
    """Remembers what it has told. After a restart everybody near the head is told once more, which does no harm."""

    def __init__(self, hot_ledger: HotLedger, broker: Broker) -> None:
        self._hot_ledger = hot_ledger
        self._broker = broker
        self._known: dict[str, dict[str, int]] = {}

    async def tell(self, room_id: str, sale_id: str, waiting: int) -> int:
        """Look at one line and tell whose place is another than before; how many. Raises Unavailable, RedisError."""
        if not waiting:
            self._known.pop(sale_id, None)
            return 0
        if len(self._known) >= LINES and sale_id not in self._known:
            self._known.clear()
        before = self._known.get(sale_id, {})
        line = await self._hot_ledger.queue(room_id, sale_id, TOLD)
        now = {buyer_id: place for place, buyer_id in enumerate(line, start=1)}
        moved = [buyer_id for buyer_id, place in now.items() if before.get(buyer_id) != place]
        for buyer_id in moved:
            data = {"sale_id": sale_id, "place": now[buyer_id]}
            await self._broker.publish_personal(room_id, buyer_id, "waitlist", data)
        self._known[sale_id] = now
        return len(moved)
