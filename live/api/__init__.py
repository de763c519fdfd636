"""The HTTP API. `ENDPOINTS` is its table of contents."""

from __future__ import annotations

from live.api import (
    accounts,
    after_sales,
    audit_export,
    captions,
    charts,
    desk,
    fairness,
    media,
    merchant_webhooks,
    moderation,
    orders,
    people,
    quarantine,
    replay,
    rooms,
    run_of_show,
    sales,
    saved_replies,
    schedule,
    summary,
)

ENDPOINTS = (
    *accounts.ENDPOINTS,
    *rooms.ENDPOINTS,
    *captions.ENDPOINTS,
    *audit_export.ENDPOINTS,
    *summary.ENDPOINTS,
    *run_of_show.ENDPOINTS,
    *people.ENDPOINTS,
    *desk.ENDPOINTS,
    *sales.ENDPOINTS,
    *orders.ENDPOINTS,
    *after_sales.ENDPOINTS,
    *fairness.ENDPOINTS,
    *charts.ENDPOINTS,
    *replay.ENDPOINTS,
    *quarantine.ENDPOINTS,
    *media.ENDPOINTS,
    *merchant_webhooks.ENDPOINTS,
    *moderation.ENDPOINTS,
    *saved_replies.ENDPOINTS,
    *schedule.ENDPOINTS,
)
