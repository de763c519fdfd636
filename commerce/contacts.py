"""How a buyer can be reached: an e-mail address or a telephone number. Who pays is somebody, and the limit per buyer counts them
whichever device they hold."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from commerce.errors import Invalid

MAX_CHARACTERS: Final = 120
_EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@[^\s@.]+(\.[^\s@.]+)+")
_SEPARATORS: Final = re.compile(r"[\s().\-/]")
_PHONE: Final = re.compile(r"\+?[0-9]{7,15}")


def check(contact: object) -> str:
    """The contact in its one way of writing: an address in lower case, or a number of 7 to 15 digits. Raises Invalid("bad_contact")."""
    text = contact.strip() if isinstance(contact, str) else ""
    if len(text) <= MAX_CHARACTERS and text.isprintable():
        if _EMAIL.fullmatch(text):
            return text.lower()
        digits = _SEPARATORS.sub("", text)
        if digits.startswith("00"):
            digits = "+" + digits[2:]
        if _PHONE.fullmatch(digits) and digits.isascii():
            return digits
    raise Invalid("bad_contact", "an e-mail address or a telephone number", field="address.contact")


def key_of(contact: str) -> str:
    """The same for the same checked contact; what limits are counted by."""
    return hashlib.sha256(f"flashroom contact {contact}".encode()).hexdigest()
