"""Telling the hot ledger what SQL has committed. It never fails the caller: what Redis misses, reconciliation brings within a second."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from commerce.errors import Unavailable
from commerce.hot_ledger import HotLedger, NotLoaded, Snapshot, StockNumbers
from commerce.sale_rules import OCCUPYING, Sale

logger = logging.getLogger(__name__)


async def tell(
    hot: HotLedger, sale: Sale, bound_units: Mapping[str, int] | None = None
) -> StockNumbers | None:
    """Bring Redis to this version of the sale; the numbers it shows now, or None when it could not be told.

    A sale that never opened has no holds, so a Redis that does not have it yet may load it here. One that was open is left to
    reconciliation, which starts a new epoch first: only that keeps a forgotten hold from being granted twice.
    """
    snapshot = Snapshot.of(sale)
    try:
        try:
            return await hot.sync(snapshot, bound_units=bound_units)
        except NotLoaded:
            if sale.opened_at_ms is not None or sale.state not in OCCUPYING:
                raise
            return (await hot.load(snapshot))[1]
    except Unavailable as error:
        logger.warning("sale %s version %d was not told to Redis: %s", sale.sale_id, sale.version, error.code)
        return None


async def tell_bound(
    hot: HotLedger, sale: Sale, hold_ids: Sequence[str], bound_units: Mapping[str, int]
) -> None:
    """Tell Redis that these soft holds of a sale are orders now. Redis being down changes nothing: the orders stand."""
    try:
        await hot.sync(Snapshot.of(sale), bound_units=bound_units, bound_holds=hold_ids)
    except Unavailable as error:
        logger.warning(
            "%d bound holds of sale %s were not told to Redis: %s", len(hold_ids), sale.sale_id, error.code
        )
