"""Settings from the environment, read once: safe defaults in development, one clear message per mistake, no secret ever printed."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

from live import payment_settings
from live.payment_settings import PaymentSettings
from realtime import redis_urls

MIN_SECRET_CHARACTERS: Final = 32
MAX_WORDS_CHARACTERS: Final = 1_000_000
_ICE_SERVER: Final = re.compile(r"(?:stuns?|turns?):[A-Za-z0-9.\-\[\]:]{1,255}(?:\?transport=(?:udp|tcp))?")
_ORIGIN: Final = re.compile(r"https?://(?:\*\.)?[A-Za-z0-9.\-]{1,253}(?::(?:[0-9]{1,5}|\*))?")
_T = TypeVar("_T")


class SettingsError(Exception):
    """The environment can't be used; `mistakes` has one line for each thing to change."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a process needs to know. Build it with `Settings.read()`."""

    env: Literal["development", "production"]
    data_dir: Path
    redis_url: str
    database_url: str = field(repr=False)
    host: str
    web_port: int
    hub_port: int
    media_port: int  # of the first media process here; further ones have the ports that follow
    media_processes: int
    worker_port: int  # 0: no metrics page of the worker
    hub_processes: int
    ghosts: int
    secret: bytes = field(repr=False)
    public_web_url: str | None
    public_hub_url: str | None
    public_media_url: str | None  # {n} stands for 1, 2, ... where several run on one machine
    media_peer_url: str | None  # where other media processes reach this machine's
    media_origins: tuple[str, ...]  # of media processes on other machines, for the pages' policy
    public_hls_url: str | None
    media_forward_url: str | None  # a WHIP endpoint that rooms are handed over to, {room} in it
    media_forward_rooms: tuple[str, ...]  # only these; empty: all
    media_forward_token: str | None = field(repr=False)
    media_viewers: int  # by WebRTC, per media process; further ones get HLS
    ice_servers: tuple[str, ...]
    turn_secret: bytes | None = field(repr=False)
    recordings: bool
    recording_days: int  # 0: kept until somebody deletes them
    recording_free_mb: int
    replays: bool  # viewers may watch what was recorded
    blocked_words: tuple[str, ...] = field(repr=False)  # a comment with one of them waits for a moderator
    trusted_proxies: tuple[str, ...]
    web_limits: bool
    cool_down_ms: int  # after a refund or a cancelled order, until the same person's next; 0: none
    sandbox_payments: bool
    payments: PaymentSettings

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    @property
    def web_url(self) -> str:
        """Where browsers find the pages, without a slash at the end."""
        return self.public_web_url or f"http://{_reachable(self.host)}:{self.web_port}"

    @property
    def local_web_url(self) -> str:
        """Where other processes of this machine find `web`, whatever stands in front of it."""
        return f"http://{_reachable(self.host)}:{self.web_port}"

    @property
    def hub_url(self) -> str:
        """Where browsers find the hub's WebSocket."""
        return self.public_hub_url or f"ws://{_reachable(self.host)}:{self.hub_port}/v1"

    @property
    def media_ports(self) -> range:
        """Of the media processes of this machine."""
        return range(self.media_port, self.media_port + self.media_processes)

    def media_base(self, number: int = 0) -> str | None:
        """The public URL of the media process with this number, from 0, without a slash at the end; None when none is set."""
        return self.public_media_url and self.public_media_url.replace("{n}", str(number + 1))

    @property
    def local_media_url(self) -> str:
        """Where other processes of this machine find `media`."""
        return f"http://{_reachable(self.host)}:{self.media_port}"

    def key(self, purpose: str) -> bytes:
        """A key for one purpose only, derived from the secret (HMAC-SHA256)."""
        return hmac.new(self.secret, purpose.encode(), hashlib.sha256).digest()

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Raises SettingsError with every mistake at once. In development the secret is made on first use and kept in the data folder."""
        reader = _Reader(os.environ if environment is None else environment)
        env = reader.choice("FLASHROOM_ENV", ("development", "production"), "development")
        data_dir = Path(reader.text("FLASHROOM_DATA_DIR", ".data")).absolute()
        settings = cls(
            env="production" if env == "production" else "development",
            data_dir=data_dir,
            redis_url=reader.redis_url("FLASHROOM_REDIS_URL", "redis://127.0.0.1:6390/0"),
            database_url=reader.url(
                "FLASHROOM_DATABASE_URL",
                f"sqlite+aiosqlite:///{data_dir / 'flashroom.db'}",
                ("sqlite+aiosqlite", "postgresql+psycopg"),
            ),
            host=reader.text("FLASHROOM_HOST", "127.0.0.1"),
            web_port=reader.integer("FLASHROOM_WEB_PORT", 8000, 1, 65535),
            hub_port=reader.integer("FLASHROOM_HUB_PORT", 8001, 1, 65535),
            media_port=reader.integer("FLASHROOM_MEDIA_PORT", 8002, 1, 65535),
            media_processes=reader.integer("FLASHROOM_MEDIA_PROCESSES", 1, 1, 64),
            worker_port=reader.integer("FLASHROOM_WORKER_PORT", 0, 0, 65535),
            hub_processes=reader.integer("FLASHROOM_HUB_PROCESSES", 2, 1, 64),
            ghosts=reader.integer("FLASHROOM_GHOSTS", 50, 0, 5000),
            secret=reader.secret(env, data_dir),
            public_web_url=reader.optional_url("FLASHROOM_PUBLIC_WEB_URL", ("http", "https")),
            public_hub_url=reader.optional_url("FLASHROOM_PUBLIC_HUB_URL", ("ws", "wss")),
            public_media_url=reader.optional_url("FLASHROOM_PUBLIC_MEDIA_URL", ("http", "https")),
            media_peer_url=reader.optional_url("FLASHROOM_MEDIA_PEER_URL", ("http", "https")),
            media_origins=reader.origins("FLASHROOM_MEDIA_ORIGINS"),
            public_hls_url=reader.optional_url("FLASHROOM_PUBLIC_HLS_URL", ("http", "https")),
            media_forward_url=reader.forward_url("FLASHROOM_MEDIA_FORWARD_URL"),
            media_forward_rooms=reader.words("FLASHROOM_MEDIA_FORWARD_ROOMS"),
            media_forward_token=reader.text("FLASHROOM_MEDIA_FORWARD_TOKEN", "") or None,
            media_viewers=reader.integer("FLASHROOM_MEDIA_VIEWERS", 500, 1, 20_000),
            ice_servers=reader.ice_servers("FLASHROOM_ICE_SERVERS"),
            turn_secret=reader.text("FLASHROOM_TURN_SECRET", "").encode() or None,
            recordings=reader.choice("FLASHROOM_RECORDINGS", ("on", "off"), "on") == "on",
            recording_days=reader.integer("FLASHROOM_RECORDING_DAYS", 30, 0, 3650),
            recording_free_mb=reader.integer("FLASHROOM_RECORDING_FREE_MB", 2048, 64, 1_000_000),
            replays=reader.choice("FLASHROOM_REPLAYS", ("on", "off"), "on") == "on",
            blocked_words=reader.lines_of("FLASHROOM_BLOCKED_WORDS_FILE"),
            trusted_proxies=reader.words("FLASHROOM_TRUSTED_PROXIES"),
            web_limits=reader.choice("FLASHROOM_RATE_LIMITS", ("on", "off"), "on") == "on",
            cool_down_ms=reader.integer("FLASHROOM_COOL_DOWN_S", 3, 0, 60) * 1000,
            sandbox_payments=reader.choice(
                "FLASHROOM_SANDBOX_PAYMENTS", ("on", "off"), "off" if env == "production" else "on"
            )
            == "on",
            payments=payment_settings.read(reader.environment, reader.mistakes),
        )
        if not reader.mistakes:
            reader.mistakes += _port_mistakes(settings)
        if reader.mistakes:
            raise SettingsError(reader.mistakes)
        return settings


def _port_mistakes(settings: Settings) -> list[str]:
    mistakes = []
    if len({settings.web_port, settings.hub_port, settings.media_port}) < 3:
        mistakes.append("FLASHROOM_WEB_PORT, FLASHROOM_HUB_PORT and FLASHROOM_MEDIA_PORT must differ.")
    elif {settings.web_port, settings.hub_port, settings.worker_port} & set(settings.media_ports):
        mistakes.append(
            "FLASHROOM_MEDIA_PROCESSES takes ports from FLASHROOM_MEDIA_PORT on, one each; another process has one of them."
        )
    if settings.media_ports[-1] > 65535:
        mistakes.append("FLASHROOM_MEDIA_PORT and FLASHROOM_MEDIA_PROCESSES together go beyond port 65535.")
    for name, url in (
        ("FLASHROOM_PUBLIC_MEDIA_URL", settings.public_media_url),
        ("FLASHROOM_MEDIA_PEER_URL", settings.media_peer_url),
    ):
        if settings.media_processes > 1 and url is not None and "{n}" not in url:
            mistakes.append(f"{name} needs {{n}}, which stands for 1, 2, ..., with several media processes.")
    return mistakes


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.mistakes: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self.environment.get(name, "").strip() or default

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.environment.get(name, "").split(",") if word.strip())

    def lines_of(self, name: str) -> tuple[str, ...]:
        """The lines of the file that a variable names, without empty ones and those that begin with `#`."""
        path = self.environment.get(name, "").strip()
        if not path:
            return ()
        try:
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(MAX_WORDS_CHARACTERS + 1)
        except (OSError, UnicodeDecodeError) as error:
            return self._checked(name, (), False, f"names a file that can't be read as UTF-8: {error}", ())
        short = len(text) <= MAX_WORDS_CHARACTERS
        lines = tuple(line.strip() for line in text.splitlines())
        found = tuple(line for line in lines if line and not line.startswith("#"))
        return self._checked(
            name, found, short, f"names a file above {MAX_WORDS_CHARACTERS:,} characters", ()
        )

    def ice_servers(self, name: str) -> tuple[str, ...]:
        found = self.words(name)
        for server in found:
            good = _ICE_SERVER.fullmatch(server) is not None
            self._checked(
                name, server, good, f"has {server!r}, which is no stun:, turn: or turns: address", ""
            )
        return found

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        return self._checked(
            name, value, value in allowed, f"must be one of: {', '.join(allowed)}; it is {value!r}", default
        )

    def integer(self, name: str, default: int, lowest: int, highest: int) -> int:
        value = self.text(name, str(default))
        try:
            number = int(value)
        except ValueError:
            number = lowest - 1
        problem = f"must be a whole number from {lowest} to {highest}; it is {value!r}"
        return self._checked(name, number, lowest <= number <= highest, problem, default)

    def url(self, name: str, default: str, schemes: tuple[str, ...]) -> str:
        value = self.text(name, default)
        good = urlsplit(value).scheme in schemes
        # The value may hold a password, so it is not shown.
        return self._checked(
            name, value, good, f"must start with {' or '.join(f'{s}://' for s in schemes)}", default
        )

    def redis_url(self, name: str, default: str) -> str:
        value = self.url(name, default, ("redis", "rediss", *redis_urls.SCHEMES))
        try:
            redis_urls.seeds_of(value)
        except ValueError as error:
            return self._checked(name, value, False, f"can't be used: {error}", default)
        return value

    def optional_url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        if not self.environment.get(name, "").strip():
            return None
        return self.url(name, "", schemes).rstrip("/")

    def forward_url(self, name: str) -> str | None:
        url = self.optional_url(name, ("http", "https"))
        good = url is None or "{room}" in url or len(self.words("FLASHROOM_MEDIA_FORWARD_ROOMS")) == 1
        problem = (
            "needs {room}, or FLASHROOM_MEDIA_FORWARD_ROOMS with one room: else all would go to one place"
        )
        return self._checked(name, url, good, problem, None)

    def origins(self, name: str) -> tuple[str, ...]:
        found = self.words(name)
        for origin in found:
            good = _ORIGIN.fullmatch(origin) is not None
            self._checked(
                name, origin, good, f"has {origin!r}, which is no origin like https://media.example", ""
            )
        return found

    def secret(self, env: str, data_dir: Path) -> bytes:
        given = self.environment.get("FLASHROOM_SECRET", "").strip()
        if given:
            good = len(given) >= MIN_SECRET_CHARACTERS
            return self._checked(
                "FLASHROOM_SECRET", given, good, f"must have at least {MIN_SECRET_CHARACTERS} characters", ""
            ).encode()
        if env == "production":
            self.mistakes.append(
                "FLASHROOM_SECRET is required in production: set it to a random text of 32 characters or more, "
                "the same in every process (python3 -c 'import secrets; print(secrets.token_hex(32))')."
            )
            return b""
        return _development_secret(data_dir)

    def _checked(self, name: str, value: _T, good: bool, problem: str, default: _T) -> _T:
        if good:
            return value
        self.mistakes.append(f"{name} {problem}.")
        return default


def _development_secret(data_dir: Path) -> bytes:
    """Made once and kept; processes that start together agree because only one of them can create the file."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "secret"
    fresh = data_dir / f".secret.{os.getpid()}.{secrets.token_hex(4)}"
    if not path.exists():
        fresh.write_text(secrets.token_hex(32))
        fresh.chmod(0o600)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip().encode()


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host
