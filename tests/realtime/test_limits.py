"""What the hub does to those who ask too much, send nonsense, or do not read."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
import urllib.error
import urllib.request
import uuid
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from realtime.broker import Broker, ChatRules, now_ms
from realtime.hub import Hub, HubSettings
from realtime.protocol import CommandError
from realtime.tickets import Viewer
from tests.realtime.hubs import HANDSHAKE, RunningHub, running_hub, ticket, watching, wire
from tests.services import wait_until


def closes(hub: Hub) -> dict[str, float]:
    return {
        sample.labels["reason"]: sample.value
        for metric in hub.metrics.closes.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


async def test_a_flood_of_commands_is_closed_with_4009_and_not_with_a_reset(
    redis_url: str, room_id: str
) -> None:
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer, watching(hub.url, room_id) as other:
        await viewer.join(ticket(room_id))
        for n in range(2, 2000):
            try:
                await viewer.send(n, "like", {"count": 1})
            except Exception:  # noqa: BLE001 - it was closed on the way, as it should be
                break
        assert await viewer.close_code() == 4009
        assert (await other.client.command("ping"))["server_time_ms"]
        assert closes(hub.hub)["too_many_commands"] == 1


async def test_pings_are_frames_too_and_a_flood_of_them_is_closed(redis_url: str, room_id: str) -> None:
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer:
        await viewer.join(ticket(room_id))
        for _ in range(500):
            try:
                await viewer.socket.ping()
            except Exception:  # noqa: BLE001 - it was closed on the way, as it should be
                break
        assert await viewer.close_code() == 4009


async def test_a_connection_that_never_joins_is_closed_with_4011(redis_url: str) -> None:
    settings = HubSettings(join_timeout_s=0.2)
    async with running_hub(redis_url, settings) as hub, wire(hub.url) as viewer:
        assert await viewer.close_code() == 4011
        # Neither is a socket kept that never gets as far as a handshake.
        _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(b"GET /v1 HT")
        await wait_until(lambda: len(hub.hub._connections) == 1)
        await wait_until(lambda: not hub.hub._connections)
        writer.close()


async def test_the_limit_per_address_closes_with_4010_and_the_hub_full_with_4013(redis_url: str) -> None:
    async with running_hub(redis_url, HubSettings(max_connections_per_address=2)) as hub:
        async with wire(hub.url), wire(hub.url), wire(hub.url) as third:
            assert await third.close_code() == 4010
        await wait_until(lambda: not hub.hub._connections)
        assert not hub.hub._addresses
    async with running_hub(redis_url, HubSettings(max_connections=2)) as hub:
        async with wire(hub.url), wire(hub.url), wire(hub.url) as third:
            assert await third.close_code() == 4013


async def test_one_viewer_has_a_bounded_number_of_tabs(redis_url: str, room_id: str) -> None:
    async with running_hub(redis_url, HubSettings(max_connections_per_viewer=2)) as hub:
        async with watching(hub.url, room_id, "gu_a"), watching(hub.url, room_id, "gu_a"):
            async with wire(hub.url) as third:
                await third.send(1, "join", {"ticket": ticket(room_id, "gu_a")})
                assert await third.close_code() == 4010
            async with wire(hub.url) as another_viewer:
                await another_viewer.join(ticket(room_id, "gu_b"))


async def test_forwarded_addresses_count_only_behind_a_trusted_proxy(redis_url: str) -> None:
    async with running_hub(
        redis_url, HubSettings(max_connections_per_address=1, trusted_proxies=("127.0.0.0/8",))
    ) as hub:
        async with (
            wire(hub.url, address="198.51.100.1"),
            wire(hub.url, address="203.0.113.9, 198.51.100.2") as other,
            wire(hub.url, address="198.51.100.77, 198.51.100.1") as same,
        ):
            assert await same.close_code() == 4010
            assert (await other.ask(1, "ping", {}))[2]
            assert set(hub.hub._addresses) == {"198.51.100.1", "198.51.100.2"}
        await wait_until(lambda: not hub.hub._addresses)
    async with running_hub(redis_url, HubSettings(max_connections_per_address=1)) as hub:
        async with wire(hub.url, address="198.51.100.1"), wire(hub.url, address="198.51.100.2") as second:
            assert await second.close_code() == 4010


async def test_a_page_of_another_site_may_not_connect(redis_url: str) -> None:
    async with running_hub(redis_url, HubSettings(origins=("https://shop.example",))) as hub:
        async with wire(hub.url, origin="https://shop.example"), wire(hub.url):
            pass
        for origin in ("https://evil.example", "null", "https://shop.example.evil.example"):
            with pytest.raises(InvalidStatus) as refused:
                async with wire(hub.url, origin=origin):
                    pass
            assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        os.urandom(50) + b"\xc1",
        b"\x93\x01\xa4ping",
        b"\x93\x00\xa4ping\x80",
        b"\x93\xc3\xa4ping\x80",
        b"\x93\x01\xa4ping\x90",
        b"\x93\x01\x05\x80",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 4000,
        "",
        "[1, 'ping', {}]",
        '[1, "ping"]',
        "[" * 4000,
        '{"id": 1}',
        '[4294967296, "ping", {}]',
        "nan",
    ],
    ids=range(17),
)
async def test_what_is_not_a_command_closes_with_4000(redis_url: str, message: bytes | str) -> None:
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer:
        await viewer.socket.send(message)
        assert await viewer.close_code() == 4000


@pytest.mark.parametrize(
    ("name", "params", "code"),
    [
        ("comment", {}, "bad_params"),
        ("comment", {"text": ""}, "bad_params"),
        ("comment", {"text": "   \n"}, "bad_params"),
        ("comment", {"text": "x" * 201}, "bad_params"),
        ("comment", {"text": 5}, "bad_params"),
        ("comment", {"text": ["a"]}, "bad_params"),
        ("comment", {"text": "a", "reply_to": {}}, "bad_params"),
        ("comment", {"text": "a", "reply_to": "x" * 41}, "bad_params"),
        ("like", {}, "bad_params"),
        ("like", {"count": 0}, "bad_params"),
        ("like", {"count": 51}, "bad_params"),
        ("like", {"count": 1.0}, "bad_params"),
        ("like", {"count": True}, "bad_params"),
        ("like", {"count": "1"}, "bad_params"),
        ("ack", {}, "bad_params"),
        ("ack", {"personal_offset": -1}, "bad_params"),
        ("ack", {"personal_offset": 2**63}, "bad_params"),
        ("fly", {}, "unknown_command"),
        ("", {}, "unknown_command"),
        ("x" * 3000, {}, "unknown_command"),
    ],
)
async def test_a_command_with_wrong_parameters_is_answered_with_a_code(
    redis_url: str, room_id: str, name: str, params: dict[str, Any], code: str
) -> None:
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer:
        assert (await viewer.ask(1, name, params))[3]["code"] == "not_joined"
        await viewer.socket.close()
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer:
        await viewer.join(ticket(room_id))
        reply = await viewer.ask(2, name, params)
        assert (reply[2], reply[3]["code"]) == (False, code)
        assert len(reply[3]["message"]) < 200
        assert (await viewer.ask(3, "ping", {}))[2]


async def test_the_frame_layer_answers_broken_frames_with_its_own_codes(redis_url: str, room_id: str) -> None:
    async with running_hub(redis_url) as hub, watching(hub.url, room_id) as other:
        for raw, code in (
            (b"\x82\xfe\x10\x01" + bytes(4) + bytes(4097), 1009),  # 4,097 bytes
            (b"\x82\xff" + (2**40).to_bytes(8, "big") + bytes(4), 1009),
            (b"\x82\x01\x00", 1002),  # not masked
            (b"\xf2\x80" + bytes(4), 1002),  # reserved bits
            (b"\x83\x80" + bytes(4), 1002),  # reserved opcode
            (b"\x02\x81" + bytes(5), 4000),  # a fragment
            (b"\x81\x81" + bytes(4) + b"\xff", 4000),  # text that is not UTF-8
            (b"\x88\x81" + bytes(5), 1002),  # half a close code
        ):
            async with wire(hub.url) as viewer:
                viewer.socket.transport.write(raw)
                assert await viewer.close_code() == code, raw[:4]
        assert (await other.client.command("ping"))["server_time_ms"]


async def test_a_megabyte_after_the_close_frame_is_dropped_and_more_is_cut(redis_url: str) -> None:
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer:
        viewer.socket.transport.write(b"\x82\xff" + (2**30).to_bytes(8, "big") + bytes(4) + bytes(300_000))
        assert await viewer.close_code() == 1009
    async with running_hub(redis_url, HubSettings(close_timeout_s=60)) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(HANDSHAKE)
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x82\xff" + (2**30).to_bytes(8, "big") + bytes(4))
        for _ in range(40):
            writer.write(bytes(100_000))
        await wait_until(lambda: not hub.hub._connections, what="the flooding peer to be cut")
        writer.close()


async def test_a_peer_that_ignores_the_close_is_cut(redis_url: str) -> None:
    async with running_hub(redis_url, HubSettings(close_timeout_s=0.2, join_timeout_s=0.1)) as hub:
        with socket.create_connection(("127.0.0.1", hub.port)) as raw:
            raw.sendall(HANDSHAKE)
            await wait_until(lambda: len(hub.hub._connections) == 1)
            await wait_until(lambda: not hub.hub._connections)
            assert closes(hub.hub) == {"no_join": 1}


async def test_a_reader_that_stops_reading_is_skipped_then_closed_while_others_are_served(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    settings = HubSettings(tick_min_s=0.001, behind_close_s=0.5, skip_above_bytes=16 * 1024)
    async with (
        running_hub(redis_url, settings) as hub,
        watching(hub.url, room_id) as reader,
        wire(hub.url) as stuck,
    ):
        await stuck.join(ticket(room_id))
        stuck.socket.transport.pause_reading()
        connection = next(
            c for c in hub.hub._connections if c.viewer and c.viewer.viewer_id != reader.viewer_id
        )
        transport = connection.transport
        most_buffered = 0
        n = 0
        while connection in hub.hub._connections and n < 3000:
            published = await broker.publish(room_id, events=[("comment", {"text": "x" * 32_000})])
            n += 1
            most_buffered = max(most_buffered, transport.get_write_buffer_size())
        assert connection not in hub.hub._connections
        assert most_buffered < 16 * 1024 + 8 * 64 * 1024
        await wait_until(lambda: reader.client.offset == published.offset)
        assert reader.offsets == list(range(1, published.offset + 1))
        assert reader.client.jumps == 0
        assert closes(hub.hub)["too_slow"] == 1
        assert hub.hub.metrics.skipped._value.get() > 0


async def test_a_slow_reader_that_drains_is_told_of_the_jump_also_in_a_quiet_room(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    settings = HubSettings(tick_min_s=0.001, skip_above_bytes=16 * 1024, likes_interval_s=0.02)
    async with running_hub(redis_url, settings) as hub, watching(hub.url, room_id) as viewer:
        assert viewer.client._socket is not None
        transport = viewer.client._socket.transport
        transport.pause_reading()
        while not hub.hub.metrics.skipped._value.get():
            published = await broker.publish(room_id, events=[("comment", {"text": "x" * 32_000})])
        transport.resume_reading()
        # Nothing is published any more.
        await wait_until(lambda: viewer.client.offset == published.offset)
        assert viewer.client.jumps == 1
        await broker.publish(room_id, events=[("comment", {"text": "after"})])
        await wait_until(lambda: viewer.texts[-1] == "after")


async def test_a_muted_banned_or_hurried_viewer_is_told_why(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async with (
        running_hub(redis_url) as hub,
        running_hub(redis_url) as other_hub,
        watching(hub.url, room_id, "gu_a") as a,
        watching(other_hub.url, room_id, "gu_a") as other_tab,
        watching(hub.url, room_id, "us_host", role="host") as host,
    ):

        async def refusal(text: str = "hello") -> str:
            with pytest.raises(CommandError) as refused:
                await a.client.command("comment", text=text)
            assert refused.value.extra["retry_after_ms"] >= 0
            return refused.value.code

        await broker.set_chat_rules(room_id, ChatRules(slow_mode_s=60))
        await a.client.command("comment", text="first")
        assert await refusal() == "slow_mode"
        await host.client.command("comment", text="h1")
        await host.client.command("comment", text="h2")
        await broker.set_chat_rules(room_id, ChatRules(off=True))
        assert await refusal() == "chat_off"
        await broker.set_chat_rules(room_id, ChatRules(followers_only=True))
        assert await refusal() == "unavailable"
        await host.client.command("comment", text="h3")
        await broker.set_chat_rules(room_id, ChatRules())
        until_ms = now_ms() + 60_000
        await broker.mute(room_id, "gu_a", until_ms)
        await wait_until(lambda: a.personal == [("muted", {"until_ms": until_ms})])
        assert await refusal() == "muted"
        await broker.ban(room_id, "gu_a")
        await wait_until(lambda: a.client.close_codes == [4003] and other_tab.client.close_codes == [4003])
        await wait_until(a.client.stopped.is_set)
        async with wire(hub.url) as again:
            await again.send(1, "join", {"ticket": ticket(room_id, "gu_a")})
            assert await again.close_code() == 4003
        await broker.unban(room_id, "gu_a")

        async def is_let_in() -> bool:
            async with wire(hub.url) as later:
                await later.send(1, "join", {"ticket": ticket(room_id, "gu_a")})
                try:
                    return bool((await later.receive())[0] == 4)
                except Exception:  # noqa: BLE001 - still banned on this hub
                    return False

        await wait_until(is_let_in)


async def test_a_comment_under_review_or_with_a_listed_word_waits_for_approval(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async with running_hub(redis_url) as hub, watching(hub.url, room_id) as viewer:
        hub.broker.set_word_list(["scam", "假货"])
        held = await viewer.client.command("comment", text="这是假 货吗 ѕcam? sc\u200bam!")
        assert held["held"] is True
        await broker.set_chat_rules(room_id, ChatRules(review=True))
        also_held = await viewer.client.command("comment", text="fine")
        assert also_held["held"] is True
        held_texts = {c["text"] for c in await broker.held_comments(room_id)}
        assert held_texts == {"这是假 货吗 ѕcam? sc\u200bam!", "fine"}
        await broker.settle_held_comment(room_id, also_held["comment_id"], approve=True)
        await wait_until(lambda: viewer.texts == ["fine"])


async def test_handlers_answer_refuse_fail_and_time_out_in_words(redis_url: str, room_id: str) -> None:
    release = asyncio.Event()

    async def hold(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        what = params.get("what")
        if what == "refuse":
            raise CommandError("sold_out", "None left.", place=7)
        if what == "crash":
            raise ZeroDivisionError
        if what == "wait":
            await release.wait()
        return {"viewer_id": viewer.viewer_id}

    settings = HubSettings(command_timeout_s=0.3, in_flight_max=2)
    async with running_hub(redis_url, settings, {"hold": hold}) as hub, wire(hub.url) as viewer:
        await viewer.join(ticket(room_id, "gu_a"))
        assert (await viewer.ask(2, "hold", {}))[2:] == [True, {"viewer_id": "gu_a"}]
        refused = {"code": "sold_out", "message": "None left.", "place": 7}
        assert (await viewer.ask(3, "hold", {"what": "refuse"}))[2:] == [False, refused]
        assert (await viewer.ask(4, "hold", {"what": "crash"}))[3]["code"] == "internal"
        assert (await viewer.ask(5, "hold", {"what": "wait"}))[3]["code"] == "timeout"
        for n in (6, 7, 8):
            await viewer.send(n, "hold", {"what": "wait"})
        assert (await viewer.reply(8))[3]["code"] == "busy"
        release.set()
        assert (await viewer.ask(9, "ping", {}))[2]


async def test_json_for_people_with_a_terminal(redis_url: str, broker: Broker, room_id: str) -> None:
    async with running_hub(redis_url) as hub:
        async with connect(hub.url, subprotocols=[Subprotocol("flashroom.v1.json")], proxy=None) as socket:

            async def receive() -> Any:
                data = await socket.recv()
                assert isinstance(data, str)
                return json.loads(data)

            await socket.send(json.dumps([1, "join", {"ticket": ticket(room_id)}]))
            assert (await receive())[0] == 4
            await socket.send('[2, "comment", {"text": "你好"}]')
            kinds: dict[int, Any] = {}
            while {1, 2} - kinds.keys():
                message = await receive()
                if message[0] != 1 or message[4]:
                    kinds[message[0]] = message
            assert kinds[1][4][0][1]["text"] == "你好"


async def test_probes_and_metrics_are_plain_http(redis_url: str, room_id: str) -> None:
    async with running_hub(redis_url) as hub, watching(hub.url, room_id) as viewer:

        def get(path: str) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{hub.port}{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        assert await asyncio.to_thread(get, "/healthz") == (200, "ok\n")
        assert await asyncio.to_thread(get, "/readyz") == (200, "ready\n")
        assert (await asyncio.to_thread(get, "/"))[0] == 404
        assert (await asyncio.to_thread(get, "/v1"))[0] == 426
        await viewer.client.command("comment", text="hello")
        await wait_until(lambda: viewer.texts == ["hello"])
        status, text = await asyncio.to_thread(get, "/metrics")
        assert status == 200
        for line in (
            "flashroom_hub_viewers 1.0",
            "flashroom_hub_rooms 1.0",
            'flashroom_hub_joins_total{answer="new"} 1.0',
            'flashroom_hub_commands_total{answer="ok",name="comment"} 1.0',
        ):
            assert line in text


async def test_fifty_hostile_clients_do_not_slow_a_viewer(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async with running_hub(redis_url) as hub, watching(hub.url, room_id) as viewer, AsyncExitStack() as stack:
        hostile = [await stack.enter_async_context(wire(hub.url)) for _ in range(50)]
        for number, peer in enumerate(hostile):
            if number % 2:
                await peer.join(ticket(room_id))
        for peer in hostile:
            peer.socket.transport.write(os.urandom(20_000))
        for n in range(10):
            started_s = time.monotonic()
            await broker.publish(room_id, events=[("comment", {"text": str(n)})])
            await wait_until(lambda n=n: len(viewer.texts) == n + 1, 2.0)  # type: ignore[misc]
            assert time.monotonic() - started_s < 2.0
        await wait_until(lambda: len(hub.hub._rooms[room_id].members) == 1)


async def test_comments_of_one_address_are_counted_on_all_hubs_together(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.broker.COMMENTS_PER_ADDRESS", 3)
    room_id = f"rm_{uuid.uuid4().hex[:12]}"
    settings = HubSettings(trusted_proxies=("127.0.0.0/8",))
    async with running_hub(redis_url, settings) as one, running_hub(redis_url, settings) as other:

        async def say(hub: RunningHub, viewer: str, address: str | None) -> str:
            async with wire(hub.url, address=address) as opened:
                await opened.join(ticket(room_id, viewer))
                answer = await opened.ask(2, "comment", {"text": "hello"})
            return "ok" if answer[2] else str(answer[3]["code"])

        said = [await say((one, other)[n % 2], f"gu_{n}", "203.0.113.7") for n in range(5)]
        assert said == ["ok"] * 3 + ["rate_limited"] * 2
        assert await say(one, "gu_9", "203.0.113.8") == "ok"
        # This machine's own address is no sign of one person: a proxy that nobody told us of has it too.
        assert [await say(one, f"gu_local_{n}", None) for n in range(5)] == ["ok"] * 5
