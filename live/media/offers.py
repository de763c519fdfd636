"""What we take as an offer: one bundle of at most one picture and one sound, bounded, and free of addresses to probe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiortc.sdp import SessionDescription

from live.media.packets import AUDIO_CODECS, VIDEO_CODECS, Kind
from live.problems import HttpProblem

MAX_SDP_BYTES: Final = 64 * 1024
MAX_LINE_CHARACTERS: Final = 4096
MAX_LINES: Final = 1000
MAX_CODECS: Final = 200
"""What the parser does grows with feedback lines times codecs: 64 KB of both would hold up the whole process for seconds."""
_ICE_USER: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_ICE_PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
_PARSE_ERRORS: Final = (
    ValueError,
    AssertionError,
    IndexError,
    KeyError,
    AttributeError,
    TypeError,
    StopIteration,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered: its text without candidates, and its kinds of media in order."""

    sdp: str
    kinds: tuple[Kind, ...]


def read_offer(raw: bytes, *, publishing: bool) -> Offer:
    """The offer in `raw`. Raises HttpProblem 400 for what is no SDP, 422 for what we can't serve.

    Candidates are left out: like an ICE-lite peer we answer whoever checks us with the right credentials, and never send a packet to an
    address because somebody wrote it in a text.
    """
    if len(raw) > MAX_SDP_BYTES:
        raise HttpProblem(413, "sdp_too_large", f"An offer has at most {MAX_SDP_BYTES} bytes.")
    try:
        text = raw.decode()
        lines = text.split("\n")
        if not text.startswith("v=0") or max(map(len, lines)) > MAX_LINE_CHARACTERS:
            raise ValueError
        if len(lines) > MAX_LINES or sum(line.startswith("a=rtpmap:") for line in lines) > MAX_CODECS:
            raise _unusable(f"An offer has at most {MAX_LINES} lines and {MAX_CODECS} codecs.")
        kept = [line.rstrip("\r") for line in lines if not _names_addresses(line)]
        sdp = "\r\n".join(line for line in kept if line) + "\r\n"
        parsed = SessionDescription.parse(sdp)
    except _PARSE_ERRORS:
        raise HttpProblem(400, "malformed_sdp", "The body is not an SDP offer.") from None
    return Offer(sdp, _checked(parsed, publishing))


def _names_addresses(line: str) -> bool:
    return line.startswith(("a=candidate:", "a=end-of-candidates", "a=remote-candidates"))


def _checked(parsed: SessionDescription, publishing: bool) -> tuple[Kind, ...]:
    kinds = [media.kind for media in parsed.media]
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= {"audio", "video"}:
        raise _unusable("Offer one video, one audio, or one of each, and nothing else.")
    bundled = next((group.items for group in parsed.group if group.semantic == "BUNDLE"), [])
    if len(kinds) > 1 and [str(item) for item in bundled] != [media.rtp.muxId for media in parsed.media]:
        raise _unusable("All media must be in one BUNDLE group.")
    for media in parsed.media:
        wanted = ("sendonly", "sendrecv") if publishing else ("recvonly", "sendrecv")
        if media.direction not in wanted:
            raise _unusable(f"The {media.kind} must be {wanted[0]}.")
        if not media.rtcp_mux or media.dtls is None or not media.dtls.fingerprints or media.dtls.role is None:
            raise _unusable("DTLS-SRTP with rtcp-mux is needed.")
        if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
            raise _unusable("ICE credentials are missing.")
        offered = {codec.name.upper() for codec in media.rtp.codecs}
        known = VIDEO_CODECS if media.kind == "video" else AUDIO_CODECS
        if not offered.intersection(known):
            raise _unusable(f"The {media.kind} must be one of: {', '.join(known)}.")
    return tuple("video" if kind == "video" else "audio" for kind in kinds)


def _unusable(detail: str) -> HttpProblem:
    return HttpProblem(422, "unusable_offer", detail)


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a trickle fragment (RFC 8840) says of the client's side of ICE; candidates are counted, and never probed."""

    user: str | None
    password: str | None
    candidates: int


def read_fragment(raw: bytes) -> Fragment:
    """Raises HttpProblem 400."""
    if len(raw) > MAX_SDP_BYTES:
        raise HttpProblem(413, "sdp_too_large", f"A fragment has at most {MAX_SDP_BYTES} bytes.")
    try:
        lines = [line.strip() for line in raw.decode().splitlines() if line.strip()]
    except UnicodeDecodeError:
        lines = []
    if not lines or not all(len(line) > 2 and line[1] == "=" and line[0] in "amv" for line in lines):
        raise HttpProblem(400, "malformed_fragment", "The body is not an SDP fragment.")
    user, password = _first(lines, "a=ice-ufrag:"), _first(lines, "a=ice-pwd:")
    if (user is not None and not _ICE_USER.fullmatch(user)) or (
        password is not None and not _ICE_PASSWORD.fullmatch(password)
    ):
        raise HttpProblem(
            400, "malformed_fragment", "ICE credentials are 4 and 22 characters or more (RFC 8839)."
        )
    return Fragment(user, password, sum(line.startswith("a=candidate:") for line in lines))


def _first(lines: list[str], name: str) -> str | None:
    return next((line[len(name) :] for line in lines if line.startswith(name)), None)


def ice_fragment(answer: str, user: str, password: str, candidates: list[str]) -> str:
    """Our side of ICE for the bundle of `answer`, as a trickle fragment: its first medium stands for all (RFC 9725 4.3.1)."""
    lines = answer.split("\r\n")
    bundle = [line for line in lines if line.startswith("a=group:BUNDLE")]
    first = next(number for number, line in enumerate(lines) if line.startswith("m="))
    mid = next(line for line in lines[first:] if line.startswith("a=mid:"))
    own = [f"a=ice-ufrag:{user}", f"a=ice-pwd:{password}"]
    found = [f"a=candidate:{candidate}" for candidate in candidates]
    return "\r\n".join([*bundle, lines[first], mid, *own, *found, "a=end-of-candidates", ""])


def ice_user(sdp: str) -> str | None:
    """The ICE user name of an offer."""
    for line in sdp.split("\r\n"):
        if line.startswith("a=ice-ufrag:"):
            return line[len("a=ice-ufrag:") :]
    return None
