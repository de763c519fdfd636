"""Logs can be read by programs, and never tell a secret."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from live.logs import JsonLines, short_line, without_secrets


def record(message: str, *values: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("flashroom.test", level, __file__, 1, message, values, None)


def test_a_line_is_one_json_object_with_what_came_beside_the_message() -> None:
    told = record("sale %s ended", "sl_1")
    told.sale_id = "sl_1"
    line = json.loads(JsonLines("worker").format(told))
    assert (line["role"], line["level"], line["message"]) == ("worker", "info", "sale sl_1 ended")
    assert line["sale_id"] == "sl_1"


def test_a_traceback_stays_within_its_line() -> None:
    try:
        raise ValueError("broken\ninside")
    except ValueError:
        told = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    text = JsonLines("worker").format(told)
    assert "\n" not in text
    assert "ValueError: broken" in json.loads(text)["error"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("redis://app:hunter2@127.0.0.1:6390/0 refused", "hunter2"),
        ("postgresql+psycopg://app:hunter2@db/flashroom", "hunter2"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ('{"password": "hunter2"}', "hunter2"),
        ("password=hunter2", "hunter2"),
        ("cookie eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJndV8xIn0.c2lnbmF0dXJl", "eyJzdWIiOiJndV8xIn0"),
        ("card 4242424242424242 was declined", "4242424242424242"),
        ("card 4242 4242 4242 4242 was declined", "4242 4242"),
    ],
)
def test_secrets_are_blotted_out(text: str, secret: str) -> None:
    assert secret not in without_secrets(text)


@pytest.mark.parametrize(
    "text", ["opens at 1795576586680", "the password is in demo-host.txt", "sale sl_abc sold 12 of 40"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_a_line_is_shortened_for_people() -> None:
    raw = JsonLines("worker").format(record("job failed", level=logging.WARNING))
    assert short_line(raw, "x") == ("worker: job failed", logging.WARNING)
    assert short_line("* Ready to accept connections", "redis") == (
        "redis: * Ready to accept connections",
        logging.INFO,
    )
    assert short_line('{"no": "log line"}', "web")[1] == logging.INFO
    assert short_line("[1, 2]", "web")[1] == logging.INFO
