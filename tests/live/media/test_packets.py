from __future__ import annotations

import pytest
from aiortc.rtp import RtcpPacket, RtcpSrPacket

from live.media.packets import Unwrapper, sender_report, starts_key_frame


@pytest.mark.parametrize(
    ("codec", "payload", "expected"),
    [
        ("VP8", "10 00 9d 01 2a", True),
        ("VP8", "10 01 9d 01 2a", False),  # an inter frame: the inverse key frame bit is set
        ("VP8", "00 00 9d 01 2a", False),  # goes on with a partition
        ("VP8", "90 80 12 00 9d", True),  # extended, 7-bit picture id
        ("VP8", "90 80 92 34 00 9d", True),  # extended, 15-bit picture id
        ("VP8", "90 e0 92 34 07 20 00 9d", True),  # with TL0PICIDX and TID
        ("VP8", "90 e0 92 34 07 20 01 9d", False),
        ("VP8", "90", False),
        ("VP8", "", False),
        ("H264", "67 42 e0 1f", True),  # SPS
        ("H264", "65 88 84", True),  # IDR slice
        ("H264", "41 9a 24", False),
        ("H264", "78 00 04 67 42 e0 1f 00 02 68 ce", True),  # STAP-A with SPS and PPS
        ("H264", "78 00 02 09 10 00 02 41 9a", False),
        ("H264", "7c 85 88 84", True),  # the first fragment of an IDR slice
        ("H264", "7c 05 88 84", False),  # a later one
        ("H264", "7c 81 9a 24", False),
        ("H264", "67", False),
        ("OPUS", "fc ff fe", True),
    ],
)
def test_a_key_frame_is_known_by_its_first_packet(codec: str, payload: str, expected: bool) -> None:
    assert starts_key_frame(codec, bytes.fromhex(payload)) is expected


def test_sequence_numbers_grow_across_the_wrap_and_back_for_the_late() -> None:
    unwrap = Unwrapper(1000)
    assert [unwrap.index(s) for s in (65534, 65535, 1, 0, 2, 65533)] == [1000, 1001, 1003, 1002, 1004, 999]


def test_a_sender_report_is_what_aiortc_reads() -> None:
    [report] = RtcpPacket.parse(sender_report(77, 123 << 32, 2**32 + 5, 6, 7))
    assert isinstance(report, RtcpSrPacket)
    info = report.sender_info
    assert (report.ssrc, info.ntp_timestamp, info.rtp_timestamp) == (77, 123 << 32, 5)
    assert (info.packet_count, info.octet_count) == (6, 7)
