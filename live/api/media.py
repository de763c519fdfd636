"""Tokens for video: a host's to publish by WHIP, a viewer's to watch by WHEP or to see replays, an owner's for the recordings. The media
process itself knows no accounts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from redis.exceptions import RedisError

from live import origins, replay_edits
from live.api.endpoint import PRODUCE, Call, Endpoint
from live.api.models import Model
from live.media import ice, tokens
from live.media.places import Found
from live.problems import HttpProblem


class NewMediaToken(Model):
    purpose: Literal["publish", "play", "replay", "recordings"]


class IceServerShown(Model):
    urls: str
    username: str | None = None
    credential: str | None = None


class MediaTokenShown(Model):
    url: str
    token: str
    hls: str | None = None
    """The playlist for whoever can't watch by WebRTC; needs no token."""
    ice_servers: list[IceServerShown] = Field(default_factory=list)


async def _find(call: Call, room_id: str) -> Found:
    """Where the room's video is. Without Redis, or before a media process has said that it is at work, nobody knows."""
    try:
        return await call.wiring.media_places.find(room_id)
    except (RedisError, OSError):
        return Found(None, ())


async def _token(call: Call) -> MediaTokenShown:
    body: NewMediaToken = call.body
    room_id = call.in_room.room_id
    settings = call.wiring.settings
    key = settings.key("media")
    servers = [
        IceServerShown(urls=s.url, username=s.username, credential=s.credential)
        for s in ice.servers(settings, call.now_ms)
    ]
    host = call.request.headers.get("host")
    found = await _find(call, room_id)
    place = found.for_viewer if body.purpose == "play" else found.for_publisher
    base = place.url(host) if place is not None else origins.media_url(settings, host)
    if body.purpose == "play":
        token = tokens.play_token(key, room_id, call.buyer_id, call.now_ms)
        hls = f"{settings.public_hls_url or base}/hls/{room_id}/index.m3u8"
        return MediaTokenShown(url=f"{base}/whep/{room_id}", token=token, hls=hls, ice_servers=servers)
    if body.purpose == "replay":
        if not settings.replays:
            raise HttpProblem(403, "no_replays", "Shows can't be watched again here.")
        async with call.wiring.database.read() as c:
            hidden = await replay_edits.hidden(c, room_id)
        token = tokens.replay_token(key, room_id, call.buyer_id, call.now_ms, hidden)
        return MediaTokenShown(url=f"{base}/recordings/{room_id}", token=token)
    user = call.caller.user
    if user is None:
        raise HttpProblem(401, "sign_in_required", "Sign in with an account that works in this room.")
    if body.purpose == "recordings":
        if call.caller.role_in(room_id) != "owner":
            raise HttpProblem(403, "wrong_role", "Only the room's owner may download recordings.")
        token = tokens.recordings_token(key, room_id, user.user_id, call.now_ms)
        return MediaTokenShown(url=f"{base}/recordings/{room_id}", token=token)
    if call.caller.role_in(room_id) not in PRODUCE:
        raise HttpProblem(403, "wrong_role", f"This needs one of: {', '.join(sorted(PRODUCE))}.")
    token = tokens.publish_token(key, room_id, user.user_id, call.now_ms)
    return MediaTokenShown(url=f"{base}/whip/{room_id}", token=token, ice_servers=servers)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/media-tokens",
        summary="A token and an address to publish (WHIP), to watch (WHEP, HLS), to see replays, or for the recordings",
        tag="media",
        handler=_token,
        roles="viewer",
        body=NewMediaToken,
        answer=MediaTokenShown,
        status=201,
        keeps_answer=False,
    ),
)
