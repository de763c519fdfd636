from __future__ import annotations

from pathlib import Path
from typing import Any

from live.media.show_events import EVENTS, EventLog, Position


def comment(id_: str, at_ms: int) -> dict[str, Any]:
    return {"id": id_, "viewer_id": "gu_1", "name": "Ann", "role": "viewer", "text": id_, "at_ms": at_ms}


def test_what_was_deleted_is_left_out_and_what_was_restored_is_not(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.append(
        "e1", [(1, "comment", comment("a", 1)), (2, "comment", comment("b", 2)), (3, "order", {"name": "x"})]
    )
    assert log.position() == Position("e1", 3), "also what a replay doesn't show has been read"
    log.append("e1", [(4, "comment_deleted", {"id": "a"}), (5, "comment_deleted", {"id": "b"})])
    log.append(
        "e2",
        [(1, "comment_deleted", {"id": "b", "restored": True}), (2, "pin", {"product_id": "p", "at_ms": 3})],
    )
    shown = [(event["type"], event["data"].get("id")) for event in log.shown()]
    assert shown == [("comment", "b"), ("pin", None)]
    assert "viewer_id" not in log.shown()[0]["data"]


def test_a_line_cut_by_a_crash_is_skipped(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    assert log.position() is None
    log.append("e1", [(1, "comment", comment("a", 1)), (2, "comment", comment("b", 2))])
    path = tmp_path / EVENTS
    path.write_text(path.read_text()[:-9])
    assert log.position() == Position("e1", 1)
    log.append("e1", [(2, "comment", comment("b", 2))])
    assert [event["data"]["id"] for event in log.shown()] == ["a", "b"]
