"""A crowd of raw WebSocket clients in one thread: counts bytes without decoding them, except on a few sampled connections.

Decoding every message of every viewer would make the load generator the bottleneck. All viewers of a room are sent the same bytes, so
it is enough to read a few in full and to compare the byte counts of the others with theirs.
"""

from __future__ import annotations

import select
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

WITNESS_EVERY = 100
KEY = b"AAAAAAAAAAAAAAAAAAAAAA=="


def handshake(path: str, subprotocol: str | None = None, *, deflate: bool = False) -> bytes:
    """The request an ordinary browser would make."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Origin: http://127.0.0.1:8000",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
        "Accept-Encoding: gzip, deflate, br",
        "Accept-Language: en-US,en;q=0.9",
        "Pragma: no-cache",
        "Cache-Control: no-cache",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY.decode()}",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    if deflate:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    return "\r\n".join([*lines, "", ""]).encode()


def client_frame(payload: bytes, *, text: bool = False) -> bytes:
    """A masked frame; the mask is zero, so the payload stays as it is."""
    first = b"\x81" if text else b"\x82"
    size = len(payload)
    head = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + size.to_bytes(2, "big")
    return first + head + bytes(4) + payload


@dataclass(slots=True)
class Member:
    """One connection. `state` 0: shaking hands, 1: joining, 2: in."""

    index: int
    socket: socket.socket
    state: int = 0
    buffer: bytearray = field(default_factory=bytearray)
    received_bytes: int = 0
    sampled: bool = False


class Crowd:
    """`first(n)` is what member n sends after the handshake (empty: nothing), `is_in(message)` whether it then is in."""

    def __init__(
        self,
        port: int,
        request: bytes,
        first: Callable[[int], bytes],
        is_in: Callable[[bytes], bool],
        on_sample: Callable[[bytes, float], None],
    ) -> None:
        self.port = port
        self.members: dict[int, Member] = {}
        self.lost = 0
        self.declared_jumps = 0
        self.reading: Member | None = None
        """Whose message `on_sample` is being called with."""
        self._request = request
        self._first = first
        self._is_in = is_in
        self._on_sample = on_sample
        self._epoll = select.epoll()
        self._witnesses = select.epoll()
        self._epoll.register(self._witnesses.fileno(), select.EPOLLIN)
        self._buffer = bytearray(1 << 18)
        self._connecting = 0
        self._next = 0

    def connect(self, count: int, *, window: int = 200, sampled: int = 0, timeout_s: float = 120.0) -> float:
        """Bring in `count` more, at most `window` at a time; gives the seconds it took."""
        started_s = time.perf_counter()
        left, to_sample = count, sampled
        while left or self._connecting:
            while left and self._connecting < window:
                self._open(to_sample > 0)
                to_sample -= 1
                left -= 1
            self.pump(0.05)
            if time.perf_counter() - started_s > timeout_s:
                raise TimeoutError(f"{left + self._connecting} of {count} did not get in")
        return time.perf_counter() - started_s

    def _open(self, sampled: bool) -> None:
        peer = socket.create_connection(("127.0.0.1", self.port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(self._request)
        peer.setblocking(False)
        self.members[peer.fileno()] = Member(self._next, peer, sampled=sampled)
        self._next += 1
        self._connecting += 1
        (self._witnesses if sampled else self._epoll).register(peer.fileno(), select.EPOLLIN)

    def leave(self, count: int) -> None:
        """The oldest unsampled members go."""
        for fd in [fd for fd, m in self.members.items() if m.state == 2 and not m.sampled][:count]:
            self._drop(fd)

    def close(self) -> None:
        for fd in list(self.members):
            self._drop(fd)
        self._witnesses.close()
        self._epoll.close()

    def _drop(self, fd: int) -> None:
        member = self.members.pop(fd)
        self._connecting -= member.state < 2
        (self._witnesses if member.sampled else self._epoll).unregister(fd)
        member.socket.close()

    def pump(self, timeout_s: float) -> int:
        """Read what has come; gives the number of reads."""
        ready = self._epoll.poll(timeout_s)
        reads = 0
        for start in range(0, len(ready), WITNESS_EVERY):
            # The sampled are read between: how long the others wait for this process is not the server's delay.
            for fd, _ in self._witnesses.poll(0):
                self._receive(fd)
            for fd, _ in ready[start : start + WITNESS_EVERY]:
                if fd in self.members:
                    self._receive(fd)
                    reads += 1
        return reads

    def _receive(self, fd: int) -> None:
        member, buffer = self.members[fd], self._buffer
        counted_only = member.state == 2 and not member.sampled
        try:
            # MSG_TRUNC: the kernel counts the bytes and drops them, without copying.
            size = member.socket.recv_into(buffer, 0, socket.MSG_TRUNC if counted_only else 0)
        except BlockingIOError:
            return
        except ConnectionError:
            size = 0
        if not size:
            self.lost += 1
            self._drop(fd)
        elif counted_only:
            member.received_bytes += size
        else:
            self._read(member, bytes(memoryview(buffer)[:size]))

    def pump_for(self, seconds: float) -> None:
        deadline_s = time.perf_counter() + seconds
        while (left_s := deadline_s - time.perf_counter()) > 0:
            self.pump(left_s)

    def _read(self, member: Member, data: bytes) -> None:
        now_s = time.time()
        member.buffer += data
        if member.state == 0:
            end = member.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert member.buffer.startswith(b"HTTP/1.1 101"), bytes(member.buffer[:200])
            del member.buffer[: end + 4]
            member.state = 1
            first = self._first(member.index)
            if first:
                member.socket.sendall(first)
            else:
                self._let_in(member)
        for message, size in frames(member.buffer):
            if member.state == 1 and self._is_in(message):
                self._let_in(member)
            elif member.state == 2:
                member.received_bytes += size
                if member.sampled:
                    self.reading = member
                    self._on_sample(message, now_s)

    def _let_in(self, member: Member) -> None:
        member.state = 2
        self._connecting -= 1
        if not member.sampled:
            # What came in the same read behind the message that let it in.
            member.received_bytes += sum(size for _, size in frames(member.buffer))
            member.received_bytes += len(member.buffer)


def frames(buffer: bytearray) -> list[tuple[bytes, int]]:
    """Take the whole frames off the front: (payload, size of the frame)."""
    found = []
    at = 0
    while len(buffer) - at >= 2:
        length, head = buffer[at + 1] & 0x7F, 2
        if length == 126:
            length, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
        elif length == 127:
            length, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
        if len(buffer) - at < head + length:
            break
        payload = bytes(buffer[at + head : at + head + length])
        if buffer[at] & 0x40:  # compressed (RFC 7692)
            payload = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + b"\x00\x00\xff\xff")
        found.append((payload, head + length))
        at += head + length
    del buffer[:at]
    return found
