"""Recorded messages that every client must read alike: `python -m tests.realtime.vectors` writes vectors.json beside this file.

`messages` pair the bytes of a message (hex) with what they decode to. `commands` pair a command with its bytes. A `session` is what a
hub sends on one connection after another, and what a client that follows PROTOCOL.md knows after each message.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from realtime import protocol
from realtime.hub_room import MODE_FULL, MODE_PAUSED
from realtime.overload import Thinning
from realtime.protocol import CommandError, pack
from realtime.room import SKIPPED

PATH = Path(__file__).with_name("vectors.json")
AT_MS = 1_795_000_000_000


def comment(text: str) -> dict[str, Any]:
    return {
        "id": f"co_{text}",
        "viewer_id": "gu_1",
        "name": "小明",
        "role": "viewer",
        "text": text,
        "at_ms": AT_MS,
    }


def tick(epoch: str, first: int, texts: Sequence[str], values: dict[str, Any] | None = None) -> bytes:
    events = [pack(["comment", comment(text)]) for text in texts]
    return protocol.encode_tick(
        AT_MS, epoch, first, events, [(key, pack(value)) for key, value in (values or {}).items()]
    )


def joined(
    epoch: str,
    first: int,
    texts: Sequence[str],
    values: dict[str, Any] | None = None,
    *,
    recovered: bool = False,
    personal_offset: int = 0,
    mode: dict[str, Any] | None = None,
) -> bytes:
    tail = protocol.encode_joined_tail(
        epoch,
        first + len(texts) - 1,
        recovered,
        first,
        [pack(["comment", comment(text)]) for text in texts],
        [(key, pack(value)) for key, value in (values or {}).items()],
    )
    return protocol.encode_joined(
        tail,
        room_id="rm_demo",
        viewer_id="gu_1",
        server_time_ms=AT_MS,
        personal_offset=personal_offset,
        mode=mode or MODE_FULL,
    )


def with_skipped(epoch: str, first_offset: int, texts: list[str | None]) -> bytes:
    """A tick in which an overloaded hub has left out what stands as None."""
    events = [SKIPPED if text is None else pack(["comment", comment(text)]) for text in texts]
    return protocol.encode_tick(AT_MS, epoch, first_offset, events, [])


def personal(offset: int, type_: str, data: dict[str, Any]) -> bytes:
    return protocol.encode_personal(offset, pack([type_, data]))


STOCK = {
    "sale_id": "sl_1",
    "quota": 10,
    "available": 7,
    "held": 2,
    "sold": 1,
    "waiting": 0,
    "epoch": 1,
    "seq": 3,
}

MESSAGES: dict[str, bytes] = {
    "an empty tick": tick("e1", 1, []),
    "a tick of two comments and a value": tick(
        "e1", 41, ["hello", "你好 👋"], {"stock:sl_1": [2**41 + 3, {**STOCK, "next_hold_ends_at_ms": None}]}
    ),
    "a tick of what viewers ask to see": tick(
        "e1", 43, [], {"requests": [AT_MS, {"total": 12, "items": {"pr_1": [12, AT_MS]}}]}
    ),
    "a tick that removes a value": tick("e1", 43, [], {"sale:sl_1": [9, None]}),
    "a tick with a line of captions": tick(
        "e1",
        43,
        [],
        {
            "captions": [
                AT_MS,
                {
                    "text": "还剩三十件",
                    "language": "zh-Hans",
                    "at_ms": AT_MS - 2_500,
                    "media_time_ms": 61_500,
                    "until_ms": AT_MS + 8_000,
                },
            ]
        },
    ),
    "a tick of seventeen events": tick("e1", 1, [f"t{n}" for n in range(17)]),
    "a reply": protocol.encode_reply(7, {"comment_id": "co_1", "offset": 42}),
    "an empty reply to the highest id": protocol.encode_reply(2**32 - 1, {}),
    "a refusal": protocol.encode_refusal(
        8, CommandError("slow_mode", "Slow mode is on.", retry_after_ms=4200)
    ),
    "a personal message": personal(AT_MS, "order", {"order_id": "or_1", "state": "paid"}),
    "a snapshot": joined("e1", 41, ["hello"], {"likes": [5, {"total": 5}]}),
    "an exact resumption while chat is paused": joined(
        "e1", 42, ["b", "c"], recovered=True, personal_offset=AT_MS, mode=MODE_PAUSED
    ),
    "a jump is declared": protocol.encode_notice("jump"),
    "the process is draining": protocol.encode_notice("reconnect", after_ms=1234),
    "chat is paused": protocol.encode_notice("mode", **MODE_PAUSED),
    "one in four comments is told": protocol.encode_notice("mode", **Thinning(3, 4).mode),
}

COMMANDS: dict[str, list[Any]] = {
    "a first join": [1, "join", {"ticket": "a.b.c"}],
    "a return": [2, "join", {"ticket": "a.b.c", "epoch": "e1", "offset": 42, "personal_offset": AT_MS}],
    "a comment": [3, "comment", {"text": "你好", "reply_to": "co_1"}],
    "likes": [4, "like", {"count": 50}],
    "a wish to see an item": [10, "request", {"product_id": "pr_1"}],
    "a hold": [5, "hold", {"request_id": "abcd-1234", "sale_id": "sl_1", "quantity": 1}],
    "an acknowledgement": [6, "ack", {"personal_offset": AT_MS}],
    "a ping": [4_294_967_295, "ping", {"client_time_ms": AT_MS}],
    "a ping that tells how late the picture is": [9, "ping", {"video": "hls", "delay_ms": 2800}],
}

# (what, message, then: epoch, offset, texts in order, values, personal offset)
SESSIONS: dict[str, list[tuple[bytes, dict[str, Any]]]] = {
    "join, follow, lose the connection, resume": [
        (
            joined("e1", 1, ["a", "b"], {"likes": [5, {"total": 5}]}),
            {"epoch": "e1", "offset": 2, "texts": ["a", "b"], "values": {"likes": [5, {"total": 5}]}},
        ),
        (tick("e1", 3, ["c"]), {"offset": 3, "texts": ["a", "b", "c"]}),
        (
            tick("e1", 4, [], {"likes": [4, {"total": 4}]}),
            {"offset": 3, "values": {"likes": [5, {"total": 5}]}},
        ),
        (
            joined("e1", 4, ["d"], {"likes": [9, {"total": 9}]}, recovered=True),
            {"offset": 4, "texts": ["a", "b", "c", "d"], "values": {"likes": [9, {"total": 9}]}},
        ),
        (tick("e1", 4, ["d", "e"]), {"offset": 5, "texts": ["a", "b", "c", "d", "e"]}),
    ],
    "a comment that was left out keeps its number": [
        (joined("e1", 1, ["a"]), {"offset": 1}),
        (with_skipped("e1", 2, ["b", None, "d"]), {"offset": 4, "texts": ["a", "b", "d"]}),
        (tick("e1", 5, ["e"]), {"offset": 5, "texts": ["a", "b", "d", "e"]}),
    ],
    "a declared jump begins from a snapshot": [
        (joined("e1", 1, ["a"]), {"offset": 1}),
        (protocol.encode_notice("jump"), {"offset": 1}),
        (
            joined("e1", 80, ["x", "y"], {"likes": [3, {"total": 3}]}),
            {"offset": 81, "values": {"likes": [3, {"total": 3}]}},
        ),
        (tick("e1", 82, ["z"]), {"offset": 82}),
    ],
    "a new epoch forgets the values of the old": [
        (joined("e1", 1, ["a"], {"stock:sl_1": [9, STOCK], "likes": [9, {"total": 9}]}), {"offset": 1}),
        (
            joined("e2", 1, [], {"likes": [2, {"total": 2}]}),
            {"epoch": "e2", "offset": 0, "values": {"likes": [2, {"total": 2}]}},
        ),
        (tick("e2", 1, ["b"]), {"offset": 1}),
    ],
    "personal messages are known by their number": [
        (joined("e1", 1, [], personal_offset=AT_MS), {"personal_offset": AT_MS}),
        (
            personal(AT_MS + 5, "order", {"order_id": "or_1"}),
            {"personal_offset": AT_MS + 5, "personal": ["or_1"]},
        ),
        (joined("e1", 1, [], recovered=True, personal_offset=AT_MS), {"personal_offset": AT_MS + 5}),
        (personal(AT_MS + 5, "order", {"order_id": "or_1"}), {"personal": ["or_1"]}),
        (personal(AT_MS + 6, "order", {"order_id": "or_2"}), {"personal": ["or_1", "or_2"]}),
    ],
}


def build() -> dict[str, Any]:
    """What vectors.json holds."""
    return {
        "messages": [
            {"name": name, "hex": message.hex(), "decoded": protocol.unpack(message)}
            for name, message in MESSAGES.items()
        ],
        "commands": [
            {"name": name, "hex": pack(command).hex(), "decoded": command}
            for name, command in COMMANDS.items()
        ],
        "sessions": [
            {"name": name, "steps": [{"hex": message.hex(), "then": then} for message, then in steps]}
            for name, steps in SESSIONS.items()
        ],
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), ensure_ascii=False, indent=1) + "\n")
