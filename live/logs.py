"""Structured logs: one JSON object per line where a program reads them, one short line where a person does; never a secret."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from typing import Any, Final, TextIO

MAX_MESSAGE_CHARACTERS: Final = 4_000
_SECRETS: Final = (
    (re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@"), r"\1:***@"),  # passwords in URLs
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"), "[token]"),  # JSON Web Tokens: tickets, guests' cookies
    (re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]+"), r"\1 ***"),
    (re.compile(r"(?i)\b(password|secret|authorization)(\"?\s*[=:]\s*\"?)(?!bearer)[^\s\",;]+"), r"\1\2***"),
    (
        re.compile(r"\b\d(?:[ -]?\d){12,18}\b"),
        "[number]",
    ),  # card numbers; times in ms are one character longer only after 2286
)
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
# Times in ms have 13 digits, as the shortest cards do. Ours begin with 1, and no card does.
_TIME_MS: Final = re.compile(r"^1\d{12}$")


def without_secrets(text: str) -> str:
    """The text with passwords, tokens and card numbers blotted out: a net under code that should not log them at all."""
    for pattern, replacement in _SECRETS[:-1]:
        text = pattern.sub(replacement, text)
    pattern, number = _SECRETS[-1]
    return pattern.sub(lambda found: found[0] if _TIME_MS.match(found[0]) else number, text)


class JsonLines(logging.Formatter):
    """`{"at","level","role","pid","logger","message",...extra}`; a traceback goes into `error`."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role = role

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "role": self.role,
            "pid": record.process,
            "logger": record.name,
            "message": without_secrets(record.getMessage())[:MAX_MESSAGE_CHARACTERS],
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["error"] = without_secrets(self.formatException(record.exc_info))[-MAX_MESSAGE_CHARACTERS:]
        return json.dumps(line, ensure_ascii=False, default=str)


class ShortLines(logging.Formatter):
    """`10:15:02 worker warning message`, for a terminal."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role = role

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = f"{at} {self.role} {record.levelname.lower()} {without_secrets(record.getMessage())}"
        if record.exc_info:
            text += "\n" + without_secrets(self.formatException(record.exc_info))
        return text


def set_up(role: str, stream: TextIO | None = None, level: int | None = None) -> None:
    """Send all logs of this process to `stream` (standard error): JSON lines unless it is a terminal.

    FLASHROOM_LOG_LEVEL (debug, info, warning) sets how much; libraries that tell of every call are kept to warnings.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ShortLines(role) if stream.isatty() else JsonLines(role))
    named = logging.getLevelNamesMapping().get(os.environ.get("FLASHROOM_LOG_LEVEL", "").upper())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level or named or logging.INFO)
    for noisy in ("httpx", "httpcore", "alembic", "uvicorn.access", "websockets", "asyncio", "aiosqlite"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def short_line(raw: str, default_role: str) -> tuple[str, int]:
    """(a line for a person, its level) from a line that a process wrote; what isn't one of ours is told as `info`."""
    try:
        line = json.loads(raw)
        level = logging.getLevelNamesMapping()[line["level"].upper()]
        text = f"{line['role']}: {line['message']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{default_role}: {raw}", logging.INFO
    error = line.get("error")
    if error:
        text += f" ({str(error).strip().splitlines()[-1]})"
    return text, level
