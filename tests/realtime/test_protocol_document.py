"""PROTOCOL.md is the contract: what it says in tables and figures is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import realtime
from realtime import broker, delays, protocol, requests
from realtime.protocol import CloseCode, Kind
from realtime.room import RESUME_MAX_BYTES, RING_EVENTS, SNAPSHOT_MAX_BYTES
from realtime.settings import HubSettings

FOLDER = Path(realtime.__file__).parent
DOCUMENT = (FOLDER / "PROTOCOL.md").read_text()
SOURCE = "\n".join(path.read_text() for path in FOLDER.glob("*.py"))


def first_cells(heading: str) -> list[str]:
    """The first cell of each row of the table under a heading."""
    section = DOCUMENT.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [row.split("|")[1].strip().strip("`") for row in rows[1:]]


def test_every_kind_of_message_is_documented_with_its_number() -> None:
    assert first_cells("## Server to client: messages") == [f"{kind} {kind.name}" for kind in Kind]


def test_every_close_code_is_documented() -> None:
    assert first_cells("## Close codes") == [str(int(code)) for code in CloseCode]


def test_every_error_code_is_documented_and_exists() -> None:
    raised = set(re.findall(r'CommandError\(\s*"(\w+)"', SOURCE))
    raised |= {"unavailable", *broker.COMMENT_REFUSALS, *requests.REFUSALS}
    raised.remove("offline")  # the Python client says so of itself
    assert set(first_cells("### Error codes")) == raised


def test_every_command_of_the_hub_is_documented() -> None:
    commands = set(first_cells("## Client to server: commands"))
    handlers = SOURCE.split("self._handlers", 1)[1].split("**(commands", 1)[0]
    assert (
        commands >= {"join", "ping", "like", *re.findall(r'"(\w+)": ', handlers)} > {"join", "ping", "like"}
    )


S = HubSettings()


@pytest.mark.parametrize(
    "text",
    [
        f"nor above {protocol.MAX_COMMAND_BYTES:,} bytes",
        f"within {S.join_timeout_s:g} s of connecting",
        f"(1..{protocol.MAX_COMMENT_CHARACTERS} characters after trimming)",
        f"`count` 1..{protocol.MAX_LIKES_PER_COMMAND}",
        f"`delay_ms` (0..{delays.MAX_DELAY_MS})",
        f"Redis each {S.delays_interval_s:g} s",
        f"more than {S.in_flight_max} commands",
        f"no answer from behind the hub within {S.command_timeout_s:g} s",
        f"more than {broker.COMMENTS_PER_WINDOW} comments in {broker.COMMENT_WINDOW_MS // 1000} s",
        f"more than {requests.PER_VIEWER} requests in {requests.WINDOW_MS // 1000} s",
        f"more than {requests.PER_ADDRESS} from one address; on all",
        f"at most {requests.MAX_ITEMS} items",
        f"{requests.MOST_PER_ITEM:,} is the most",
        f"at most {protocol.SNAPSHOT_EVENTS}, as a fresh snapshot",
        f"more than {S.close_above_bytes >> 20} MiB unsent, or behind for {S.behind_close_s:g} s",
        f"above {S.frame_rate:g} frames a second after the first {S.frame_burst}",
        f"one address ({S.max_connections_per_address:,}) or of one viewer ({S.max_connections_per_viewer})",
        f"hub full ({S.max_connections:,} connections)",
        f"within {S.close_timeout_s:g} s of a close frame",
        f"pings each {S.ping_interval_s:g} s; a client that is silent for {S.silent_close_s:g} s",
        f"(and at most {SNAPSHOT_MAX_BYTES >> 10} KiB)",
        f"not above {RESUME_MAX_BYTES >> 10} KiB together",
        f"the last {RING_EVENTS:,} of the room",
        f"up to {S.ahead_timeout_s:g} s.",
        f"wait {broker.PERSONAL_KEPT_FOR_MS // 3_600_000} h for a viewer",
        f"the last {broker.PERSONAL_KEPT} of them",
        f"what lasted {broker.PEAK_HOLDS_MS // 1000} s",
        f"one TICK per {S.tick_min_s * 1000:g} ms, up to {S.tick_max_s * 1000:g} ms",
        f"Above {S.skip_above_bytes >> 10} KiB unsent",
    ],
)
def test_every_limit_is_the_one_in_the_document(text: str) -> None:
    assert text in " ".join(DOCUMENT.split())
