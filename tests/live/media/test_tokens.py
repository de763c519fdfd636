from __future__ import annotations

import pytest

from live.media import tokens

KEY = b"k" * 32
NOW_MS = 1_800_000_000_000


def test_a_token_opens_its_own_room_for_its_own_purpose() -> None:
    signed = tokens.publish_token(KEY, "rm_1", "us_1", NOW_MS)
    token = tokens.verify(KEY, signed, "whip", "rm_1", NOW_MS)
    assert (token.subject, token.room_id, token.audience) == ("us_1", "rm_1", "whip")


@pytest.mark.parametrize(
    ("key", "audience", "room_id", "now_ms"),
    [
        (b"x" * 32, "whep", "rm_1", NOW_MS),
        (KEY, "whip", "rm_1", NOW_MS),
        (KEY, "whep", "rm_2", NOW_MS),
        (KEY, "whep", "rm_1", NOW_MS + tokens.PLAY_TTL_MS),
    ],
    ids=["forged", "a viewer's token doesn't publish", "another room", "too old"],
)
def test_a_token_opens_nothing_else(key: bytes, audience: tokens.Audience, room_id: str, now_ms: int) -> None:
    signed = tokens.play_token(KEY, "rm_1", "gu_1", NOW_MS)
    with pytest.raises(tokens.BadToken):
        tokens.verify(key, signed, audience, room_id, now_ms)


@pytest.mark.parametrize("signed", ["", "a.b.c", "x" * 5000, "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_token_is_refused(signed: str) -> None:
    with pytest.raises(tokens.BadToken):
        tokens.verify(KEY, signed, "whep", "rm_1", NOW_MS)


def test_a_replay_token_says_which_recordings_it_does_not_open_and_stays_short_enough() -> None:
    hidden = range(10**15 - tokens.MAX_HIDDEN, 10**15)
    signed = tokens.replay_token(KEY, "rm_" + "x" * 60, "us_" + "x" * 60, NOW_MS, hidden)
    assert tokens.verify(KEY, signed, "replay", "rm_" + "x" * 60, NOW_MS).hidden == tuple(hidden)
    assert tokens.verify(KEY, tokens.replay_token(KEY, "r", "u", NOW_MS), "replay", "r", NOW_MS).hidden == ()
