"""Lots: who comes first when requests of the same moment are drawn, and under which name buyers appear in the public log.

Every sale has a secret. Two things derive from it that do not give each other away: the seed of the lots, whose SHA-256 is public
before the sale opens and which is itself public when it is over; and the salt of the buyers' public names, which stays secret, because
buyer ids are seen in chat and must not lead to purchases.
"""

from __future__ import annotations

import hashlib


def seed_of(secret: str) -> str:
    """The committed seed: published when the sale is."""
    return _sha256(f"flashroom seed {secret}")


def salt_of(secret: str) -> str:
    """The salt of public names: never published."""
    return _sha256(f"flashroom buyers {secret}")


def public_buyer(salt: str, buyer_id: str) -> str:
    """The buyer's name in this sale's public log: the same buyer always has the same one, and nobody else can compute it."""
    return _sha256(f"{salt} {buyer_id}")[:32]


def lot(seed: str, buyer: str) -> str:
    """A buyer's lot under their public name; the smallest comes first. One lot per buyer, however often they tapped."""
    return _sha256(f"{seed} {buyer}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
