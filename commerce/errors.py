"""Coded refusals of the commerce part. It knows nothing of HTTP or sockets: the composition root maps classes to statuses."""

from __future__ import annotations


class CommerceError(Exception):
    """A refusal with a stable `code` for programs, a `message` for people and `facts` that explain it (JSON values only)."""

    def __init__(self, code: str, message: str = "", **facts: object) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message or code.replace("_", " ")
        self.facts = facts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.message!r}, {self.facts!r})"


class NotFound(CommerceError):
    """What was named does not exist, or not for this caller."""


class OutOfState(CommerceError):
    """The thing exists, and in its present state this cannot be done to it."""


class Invalid(CommerceError):
    """The input itself cannot be right, in whatever state."""


class Refused(CommerceError):
    """A fair no: sold out, limit reached, hold expired, bad token, card declined."""


class Forbidden(CommerceError):
    """The caller may not do this."""


class Unavailable(CommerceError):
    """A database or provider did not answer; nothing was decided, try again with the same key."""


class Quarantined(CommerceError):
    """Money or stock that does not add up; kept for a person to look at, never passed on in silence."""
