from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from realtime import protocol
from realtime.client import RoomClient
from realtime.protocol import Command
from tests.realtime import vectors

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(vectors.PATH.read_text())


def test_the_recorded_vectors_are_what_the_hub_sends_today() -> None:
    assert vectors.build() == VECTORS, "run `python -m tests.realtime.vectors` and tell the clients"


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda v: v["name"])
def test_a_message_decodes_to_what_is_recorded(vector: dict[str, Any]) -> None:
    message = bytes.fromhex(vector["hex"])
    assert msgpack.unpackb(message) == vector["decoded"]
    assert json.loads(protocol.as_json(message)) == vector["decoded"]


@pytest.mark.parametrize("vector", VECTORS["commands"], ids=lambda v: v["name"])
def test_a_command_is_read_alike_from_msgpack_and_json(vector: dict[str, Any]) -> None:
    expected = Command(*vector["decoded"])
    assert protocol.decode_command(bytes.fromhex(vector["hex"])) == expected
    assert protocol.decode_command(json.dumps(vector["decoded"])) == expected


@pytest.mark.parametrize("session", VECTORS["sessions"], ids=lambda s: s["name"])
async def test_the_client_knows_after_each_message_what_is_recorded(session: dict[str, Any]) -> None:
    async def no_ticket() -> str:
        raise AssertionError

    client = RoomClient("ws://nowhere", no_ticket)
    texts: list[str] = []
    personal: list[str] = []
    client.on_event = lambda offset, type_, data: texts.append(data["text"])
    client.on_personal = lambda type_, data: personal.append(data["order_id"])
    for step in session["steps"]:
        client._take(msgpack.unpackb(bytes.fromhex(step["hex"])))
        known = {
            "epoch": client.epoch,
            "offset": client.offset,
            "texts": texts,
            "values": {key: list(value) for key, value in client.values.items()},
            "personal_offset": client.personal_offset,
            "personal": personal,
        }
        assert {name: known[name] for name in step["then"]} == step["then"]
