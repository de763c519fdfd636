"""The HTTP API. `ENDPOINTS` is its table of contents."""

from __future__ import annotations

from live.api import (
    accounts,
    after_sales,
    fairness,
    media,
    merchant_webhooks,
    moderation,
    orders,
    people,
    quarantine,
    rooms,
    sales,
)

ENDPOINTS = (
    *accounts.ENDPOINTS,
    *rooms.ENDPOINTS,
    *sales.ENDPOINTS,
    *orders.ENDPOINTS,
    *after_sales.ENDPOINTS,
    *fairness.ENDPOINTS,
    *quarantine.ENDPOINTS,
    *media.ENDPOINTS,
    *people.ENDPOINTS,
    *merchant_webhooks.ENDPOINTS,
    *moderation.ENDPOINTS,
)
