"""What commerce refuses, as a small tree with stable codes. Nothing here knows HTTP: `live` maps classes to statuses."""

from __future__ import annotations

from typing import Any


class CommerceError(Exception):
    """Refused. `code` is stable and meant for programs, `message` for people, `facts` are the numbers behind it."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = facts


class NotFound(CommerceError):
    """There is no such thing, or not for this caller."""


class Invalid(CommerceError):
    """The input can never be right, whatever the state."""


class OutOfState(CommerceError):
    """Right in another state of the sale, hold, order or payment."""


class Refused(CommerceError):
    """A rule of the sale says no: sold out, limit, expired."""


class Forbidden(CommerceError):
    """It belongs to somebody else."""


class Quarantined(CommerceError):
    """Money that doesn't match what was asked for; kept for an operator, nothing changed."""


class Unavailable(CommerceError):
    """Redis, SQL or a provider did not answer; the same request may be sent again."""
