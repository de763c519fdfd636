"""Likes, requests, presence and the delays of pictures of one hub, told as totals: a lost message, or a dead hub, heals by itself."""

from __future__ import annotations

from typing import Final

from redis.exceptions import RedisError

from realtime.broker import Broker
from realtime.hub_room import HubRoom
from realtime.protocol import CommandError
from realtime.requests import Requests

LIKES_WAITING_MAX: Final = 1_000_000


def like(room: HubRoom, count: int) -> None:
    """Collect likes until the next `send_likes`."""
    room.likes = min(LIKES_WAITING_MAX, room.likes + count)


async def send_likes(broker: Broker, room: HubRoom) -> None:
    """Raises RedisError or CommandError, and then keeps them for the next time."""
    likes, room.likes = room.likes, 0
    if not likes:
        return
    try:
        room.likes_total = await broker.add_likes(room.room_id, likes, at_least=room.likes_total)
    except (RedisError, CommandError):
        # If Redis had counted them before it fell silent they count twice: hearts are not money.
        like(room, likes)
        raise


async def tell_requests(requests: Requests, room: HubRoom) -> None:
    """Show the room what was asked for here since the last time. Raises RedisError or CommandError, and then does it the next time."""
    if not room.has_new_requests:
        return
    room.has_new_requests = False
    try:
        await requests.tell(room.room_id)
    except (RedisError, CommandError):
        room.has_new_requests = True
        raise


async def enter_presence(broker: Broker, room: HubRoom, hub_id: str) -> None:
    """Enter this hub's viewers, and publish the room's total if it has changed. Raises RedisError, CommandError."""
    people, ghosts = room.people_and_ghosts()
    presence = await broker.enter_presence(
        room.room_id, hub_id, people, ghosts, peak_at_least=max(0, room.presence[1])
    )
    seen = (presence.count, presence.peak)
    if seen != room.presence:
        room.presence = seen
        value = {"count": presence.count, "peak": presence.peak}
        await broker.publish(room.room_id, values={"watching": (presence.at_ms, value)})


async def enter_delays(broker: Broker, room: HubRoom, hub_id: str) -> None:
    """Enter how late this hub's pictures are, and take it back once when there are none. Raises RedisError."""
    has_any = any(room.delays)
    if has_any or room.has_told_delays:
        await broker.enter_delays(room.room_id, hub_id, room.delays if has_any else None)
        room.has_told_delays = has_any
