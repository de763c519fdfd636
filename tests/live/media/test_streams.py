"""A room's stream and what leaves it for each viewer, without a socket."""

from __future__ import annotations

from aiortc.rtp import RtpPacket, unwrap_rtx

from live.media import outlets
from live.media.outlets import Outlet
from live.media.streams import HISTORY_PACKETS, RoomStream

KEY, DELTA = bytes.fromhex("65888400"), bytes.fromhex("419a2400")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class RecordingWire:
    def __init__(self) -> None:
        self.sent: list[RtpPacket] = []
        self.reports: list[bytes] = []
        self.is_full = False

    def send_rtp(self, packet: bytes) -> bool:
        if not self.is_full:
            self.sent.append(RtpPacket.parse(packet))
        return not self.is_full

    def send_rtcp(self, packet: bytes) -> bool:
        self.reports.append(packet)
        return True


class RecordingSource:
    def __init__(self, subject: str = "us_1") -> None:
        self.subject = subject
        self.asked = 0

    def ask_for_key_frame(self) -> None:
        self.asked += 1


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.stream = RoomStream("rm_1", self.clock)
        self.source = RecordingSource()
        self.stream.attach(self.source)

    def viewer(self) -> tuple[Outlet, RecordingWire]:
        wire = RecordingWire()
        outlet = Outlet(
            "video",
            wire,
            ssrc=5,
            repeat_ssrc=6,
            payload_types={"H264": 102, "VP8": 96},
            repeat_types={"H264": 103},
            first_sequence=65530,
        )
        self.stream.add(outlet)
        return outlet, wire

    def send(self, *payloads: bytes, first: int, source: RecordingSource | None = None) -> None:
        for number, payload in enumerate(payloads):
            self.stream.receive(
                source or self.source,
                "video",
                "H264",
                (first + number) & 0xFFFF,
                (first + number) * 3000,
                True,
                payload,
            )


def numbers(wire: RecordingWire) -> list[int]:
    return [packet.sequence_number for packet in wire.sent]


def test_a_viewer_begins_with_a_key_frame_and_gets_all_after_it() -> None:
    world = World()
    _, wire = world.viewer()
    world.send(DELTA, DELTA, KEY, DELTA, DELTA, DELTA, DELTA, DELTA, DELTA, first=65530)
    assert [packet.payload for packet in wire.sent] == [KEY, *[DELTA] * 6]
    assert numbers(wire) == [65530, 65531, 65532, 65533, 65534, 65535, 0]
    assert {(packet.ssrc, packet.payload_type, packet.marker) for packet in wire.sent} == {(5, 102, 1)}


def test_a_viewer_who_cannot_take_a_packet_skips_to_the_next_key_frame_and_sees_no_gap() -> None:
    world = World()
    outlet, wire = world.viewer()
    _, other = world.viewer()
    world.send(KEY, DELTA, first=1)
    wire.is_full = True
    world.send(DELTA, first=3)
    wire.is_full = False
    world.send(DELTA, DELTA, KEY, DELTA, first=4)
    assert [packet.payload for packet in wire.sent] == [KEY, DELTA, KEY, DELTA]
    assert numbers(wire) == [65530, 65531, 65532, 65533]
    assert outlet.skips == 1
    assert len(other.sent) == 7, "a bad network of one viewer is nobody else's"


def test_a_lost_packet_is_sent_again_under_its_number_as_rtx() -> None:
    world = World()
    outlet, wire = world.viewer()
    world.send(KEY, DELTA + b"1", DELTA + b"2", first=1)
    world.stream.repeat(outlet, [65531])
    again = wire.sent[-1]
    assert (again.ssrc, again.payload_type) == (6, 103)
    original = unwrap_rtx(again, payload_type=102, ssrc=5)
    assert (original.sequence_number, original.payload) == (65531, DELTA + b"1")


def test_a_packet_from_before_a_gap_can_still_be_repeated() -> None:
    world = World()
    outlet, wire = world.viewer()
    world.send(KEY, DELTA + b"before", first=1)
    outlet.fall_behind(0)
    world.send(DELTA, DELTA, KEY, DELTA, first=3)
    world.stream.repeat(outlet, [65531])
    assert unwrap_rtx(wire.sent[-1], payload_type=102, ssrc=5).payload == DELTA + b"before"


def test_what_was_never_sent_or_is_too_old_is_not_repeated() -> None:
    world = World()
    outlet, wire = world.viewer()
    world.send(KEY, *[DELTA] * (HISTORY_PACKETS + 10), first=1)
    before = len(wire.sent)
    world.stream.repeat(outlet, [65529, 65530, (65530 + before) & 0xFFFF])
    assert len(wire.sent) == before


def test_repeats_are_bounded_per_second() -> None:
    world = World()
    outlet, _ = world.viewer()
    world.send(KEY, first=1)
    world.stream.repeat(outlet, [65530] * 10_000)
    assert outlet.repeats == outlets.REPEATS_PER_S
    world.stream.tick()
    world.stream.repeat(outlet, [65530])
    assert outlet.repeats == outlets.REPEATS_PER_S + 1


def test_a_duplicate_and_a_reordered_packet_reach_the_viewer_once_each() -> None:
    world = World()
    _, wire = world.viewer()
    for sequence in (1, 3, 2, 2, 3):
        world.send(KEY if sequence == 1 else DELTA + bytes([sequence]), first=sequence)
    assert numbers(wire) == [65530, 65532, 65531]


def test_key_frames_are_asked_for_once_a_second_however_many_viewers_join() -> None:
    world = World()
    assert world.source.asked == 1
    for _ in range(300):
        world.viewer()
        world.stream.want_key_frame()
    assert world.source.asked == 1
    world.clock.now_s += 1.0
    world.stream.tick()
    world.stream.ask_if_due()
    assert world.source.asked == 2
    world.send(KEY, first=1)
    world.clock.now_s += 1.0
    world.stream.tick()
    world.stream.ask_if_due()
    assert world.source.asked == 2, "everybody has a picture: nothing to ask for"


def test_another_publisher_goes_on_in_the_same_numbers_and_the_same_clock() -> None:
    world = World()
    _, wire = world.viewer()
    world.send(KEY, DELTA, first=7)
    other = RecordingSource()
    world.clock.now_s += 2.0
    assert world.stream.attach(other) is world.source
    assert other.asked == 1
    world.send(DELTA, KEY, DELTA, first=40_000, source=other)
    world.send(KEY, first=9)  # the one before is not listened to any more
    assert numbers(wire) == [65530, 65531, 65532, 65533]
    last_before, first_after = wire.sent[1].timestamp, wire.sent[2].timestamp
    assert first_after - last_before == 2 * 90_000 + 3000


def test_a_heavy_loss_pauses_the_picture_of_that_viewer_for_a_while() -> None:
    world = World()
    outlet, wire = world.viewer()
    world.send(KEY, first=1)
    for _ in range(outlets.REPORTS_TOO_HIGH):
        outlet.heard_report(128, world.clock())
    world.send(DELTA, KEY, first=2)
    assert len(wire.sent) == 1
    world.clock.now_s += outlets.PAUSE_S
    world.send(KEY, first=4)
    assert len(wire.sent) == 2


def test_a_publisher_of_whom_nothing_comes_is_away_after_two_seconds() -> None:
    world = World()
    heard = [world.stream.is_publishing]
    world.send(KEY, first=1)
    heard.append(world.stream.is_publishing)
    world.clock.now_s += 2.0
    heard.append(world.stream.is_publishing)
    assert heard == [False, True, False]


def test_viewers_are_told_how_the_clocks_go_together() -> None:
    world = World()
    _, wire = world.viewer()
    world.send(KEY, first=1)
    world.stream.tick()
    assert not wire.reports, "the publisher has not said yet"
    world.stream.heard_clock(world.source, "video", 50 << 32, 3000)
    world.clock.now_s += 1.0
    world.stream.tick()
    assert int.from_bytes(wire.reports[0][8:16]) == 51 << 32
    assert int.from_bytes(wire.reports[0][16:20]) == 3000 + 90_000
