"""The page checks receipts by itself: its vectors are receipts as this server makes them (`python -m tests.live.test_receipt_vectors`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commerce.log_chain import SEGMENT, Receipt, first_hash, merkle_path, merkle_root, next_hash
from commerce.log_verification import receipt_object, verify_receipt

FILE = Path("live/web/src/room/receipt.vectors.json")
SALE_ID = "sl_vectors"


def receipts() -> list[dict[str, Any]]:
    """Of logs with 3, 64 and 200 lines: the first, the last and one in between."""
    found = []
    for count, positions in ((3, (2,)), (64, (64,)), (200, (1, 100, 200))):
        lines = [
            json.dumps({"n": n, "decision": "refused", "reason": "sold_out"}) for n in range(1, count + 1)
        ]
        hashes = [first_hash(SALE_ID)]
        for line in lines:
            hashes.append(next_hash(hashes[-1], line))
        leaves = [hashes[n] for n in range(1, count + 1) if n % SEGMENT == 0 or n == count]
        for position in positions:
            index = (position - 1) // SEGMENT
            first = index * SEGMENT + 1
            receipt = Receipt(
                sale_id=SALE_ID,
                position=position,
                first_position=first,
                before=hashes[first - 1],
                lines=tuple(lines[first - 1 : first - 1 + SEGMENT]),
                path=tuple(merkle_path(leaves, index)),
            )
            found.append(receipt_object(receipt, merkle_root(leaves)))
    return found


def test_the_pages_vectors_are_what_this_server_makes() -> None:
    assert json.loads(FILE.read_text()) == receipts()
    for receipt in receipts():
        assert verify_receipt(receipt)["n"] == receipt["position"]


if __name__ == "__main__":
    FILE.write_text(json.dumps(receipts(), indent=1) + "\n")
