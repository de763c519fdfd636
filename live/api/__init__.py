"""The HTTP API. `ENDPOINTS` is its table of contents."""

from __future__ import annotations

from live.api import accounts, moderation, orders, rooms, sales

ENDPOINTS = (
    *accounts.ENDPOINTS,
    *rooms.ENDPOINTS,
    *sales.ENDPOINTS,
    *orders.ENDPOINTS,
    *moderation.ENDPOINTS,
)
