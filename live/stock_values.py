"""A sale's stock on the wire, without SQL: what the hub publishes after each batch of taps, and everybody else through the projector."""

from __future__ import annotations

import logging
from typing import Final

from redis.exceptions import RedisError

from commerce.hot_ledger import StockNumbers
from realtime.broker import Broker, BrokerUnavailable
from realtime.protocol import CommandError, Value

log = logging.getLogger("flashroom.projector")

PUBLISH_ERRORS: Final = (BrokerUnavailable, RedisError, CommandError, OSError)


def stock_values(numbers: StockNumbers) -> dict[str, Value]:
    """The `stock:ID` value under its ordered version."""
    return {f"stock:{numbers.sale_id}": (numbers.value_version, numbers.as_value())}


async def publish_numbers(broker: Broker, room_id: str, numbers: StockNumbers) -> None:
    """Show a sale's stock. Never fails its caller; the worker repeats the numbers within 2 s."""
    try:
        await broker.publish(room_id, values=stock_values(numbers))
    except PUBLISH_ERRORS as error:
        log.warning("stock of %s was not told at once: %s", numbers.sale_id, error)
