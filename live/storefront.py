"""What a room shows outside its own page: a preview for whoever is sent the link, a code to scan, a reminder for the calendar. No I/O."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import quote

import segno

from live.rooms import Room

REMINDER_MINUTES: Final = 10
COVER_SIZE: Final = (1200, 630)
SHOW_HOURS: Final = 2
"""How long a calendar says the show takes: nobody knows before."""
_STATUS: Final = {
    "en": {"preshow": "Soon", "live": "Live now", "away": "Live now", "ended": "The show is over"},
    "zh": {"preshow": "即将开播", "live": "正在直播", "away": "正在直播", "ended": "直播已结束"},
}
_HOSTED: Final = {"en": "with {host}", "zh": "主播：{host}"}


def room_url(web_url: str, room_id: str) -> str:
    """The room's address, to send to others."""
    return f"{web_url}/r/{quote(room_id)}"


def language_of(accept_language: str | None) -> str:
    """zh for who asks for Chinese first, else en."""
    return "zh" if (accept_language or "").strip().lower().startswith("zh") else "en"


def title_of(room: Room, language: str) -> str:
    return room.title.get(language) or next(iter(room.title.values()), "") or "Flashroom"


def preview_tags(room: Room, url: str, image_url: str, language: str) -> str:
    """Title, description, picture and Open Graph tags (https://ogp.me) for the page's head."""
    title = title_of(room, language)
    parts = [_STATUS[language].get(room.status, ""), _HOSTED[language].format(host=room.host_name)]
    if room.status == "preshow" and room.starts_at_ms is not None:
        parts.insert(1, f"{_utc(room.starts_at_ms):%Y-%m-%d %H:%M} UTC")
    about = " · ".join(part for part in parts if part)
    tags = {
        "og:type": "website",
        "og:site_name": "Flashroom",
        "og:title": title,
        "og:description": about,
        "og:url": url,
        "og:locale": "zh_CN" if language == "zh" else "en_GB",
        "og:image": image_url,
        "og:image:type": "image/jpeg",
        "og:image:width": str(COVER_SIZE[0]),
        "og:image:height": str(COVER_SIZE[1]),
        "og:image:alt": title,
    }
    found = [f'<meta property="{name}" content="{escape(value)}" />' for name, value in tags.items()]
    found += [
        f'<meta name="description" content="{escape(about)}" />',
        '<meta name="twitter:card" content="summary_large_image" />',
        f'<link rel="canonical" href="{escape(url)}" />',
    ]
    return "\n    ".join(found)


def with_preview(page: str, room: Room, url: str, image_url: str, language: str) -> str:
    """The page with the room's title and tags in its head."""
    page = page.replace(
        "<title>Flashroom</title>", f"<title>{escape(title_of(room, language))} · Flashroom</title>", 1
    )
    return page.replace("</head>", f"  {preview_tags(room, url, image_url, language)}\n  </head>", 1)


def calendar(room: Room, url: str, language: str, now_ms: int) -> str:
    """An iCalendar event (RFC 5545) with an alarm ten minutes before; the room must have a time to start."""
    assert room.starts_at_ms is not None
    ends_at_ms = room.starts_at_ms + SHOW_HOURS * 3_600_000
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Flashroom//Show//EN",
        "BEGIN:VEVENT",
        f"UID:{room.room_id}@flashroom",
        f"DTSTAMP:{_stamp(now_ms)}",
        f"DTSTART:{_stamp(room.starts_at_ms)}",
        f"DTEND:{_stamp(ends_at_ms)}",
        f"SUMMARY:{_text(title_of(room, language))}",
        f"DESCRIPTION:{_text(url)}",
        f"URL:{url}",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"DESCRIPTION:{_text(title_of(room, language))}",
        f"TRIGGER:-PT{REMINDER_MINUTES}M",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def qr_code(url: str) -> bytes:
    """The address as an SVG to scan."""
    drawn = io.BytesIO()
    segno.make_qr(url, error="m").save(drawn, kind="svg", scale=8, border=3, xmldecl=False)
    return drawn.getvalue()


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _stamp(at_ms: int) -> str:
    return f"{_utc(at_ms):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    for raw, written in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        value = value.replace(raw, written)
    return value


def _folded(line: str) -> str:
    """At most 75 bytes a line, and no character cut in two."""
    pieces, piece, size = [], "", 0
    for character in line:
        length = len(character.encode())
        if size + length > 74:
            pieces.append(piece)
            piece, size = " ", 1
        piece += character
        size += length
    return "\r\n".join([*pieces, piece])
