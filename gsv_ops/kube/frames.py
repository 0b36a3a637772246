"""WebSocket framing without I/O: bytes from the peer in, whole payload pieces out. RFC 6455, the client's side."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
LARGEST_FRAME = 64 * 1024 * 1024


def encode(payload: bytes, opcode: int = BINARY) -> bytes:
    """One final frame, masked as a client's must be."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    key = secrets.token_bytes(4)
    return head + key + _masked(payload, key)


class Decoder:
    """Feed it what was received; it gives (opcode, starts a message, payload) for every whole frame.

    A fragmented message comes as its fragments, all with the message's opcode. Raises ValueError for what is no frame.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._opcode = BINARY

    def feed(self, data: bytes) -> Iterator[tuple[int, bool, bytes]]:
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> tuple[int, bool, bytes] | None:
        have = self._buffer
        if len(have) < 2:
            return None
        size, start = have[1] & 0x7F, 2
        if have[1] & 0x80:
            raise ValueError("a frame from the server is masked")
        if size == 126:
            if len(have) < 4:
                return None
            size, start = struct.unpack_from("!H", have, 2)[0], 4
        elif size == 127:
            if len(have) < 10:
                return None
            size, start = struct.unpack_from("!Q", have, 2)[0], 10
        if size > LARGEST_FRAME:
            raise ValueError(f"a frame of {size} bytes is larger than {LARGEST_FRAME}")
        if len(have) < start + size:
            return None
        opcode, first = have[0] & 0x0F, True
        if opcode == CONTINUATION:
            opcode, first = self._opcode, False
        elif opcode in (TEXT, BINARY):
            self._opcode = opcode
        payload = bytes(have[start : start + size])
        del have[: start + size]
        return opcode, first, payload


def _masked(payload: bytes, key: bytes) -> bytes:
    """XOR with the repeated key, as one large number: a loop over the bytes would be a hundred times slower."""
    size = len(payload)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")
