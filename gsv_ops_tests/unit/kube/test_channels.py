"""The streams of one WebSocket, over a socket pair whose other end the test holds."""

import socket
from collections.abc import Iterator

import pytest
from websocket import ABNF

from gsv_ops.kube import frames
from gsv_ops.kube.channels import V5, Channels


@pytest.fixture
def ends() -> Iterator[tuple[Channels, socket.socket]]:
    near, far = socket.socketpair()
    far.settimeout(5)
    with far, Channels(near, V5) as channels:
        yield channels, far


def from_server(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    return bytes(ABNF(int(final), 0, 0, 0, opcode, 0, payload).format())


def to_server(data: bytes) -> list[tuple[int, bytes]]:
    """(opcode, payload) of frames of a client."""
    found = []
    while data:
        size, start = data[1] & 0x7F, 2
        assert size < 126
        found.append((data[0] & 0x0F, bytes(ABNF.mask(data[start : start + 4], data[start + 4 : start + 4 + size]))))
        data = data[start + 4 + size :]
    return found


def test_what_comes_is_sorted_by_channel_through_fragments_and_pings(ends: tuple[Channels, socket.socket]) -> None:
    channels, far = ends
    far.sendall(
        from_server(frames.BINARY, b"\x01ab", final=False)
        + from_server(frames.PING, b"beat")
        + from_server(frames.CONTINUATION, b"\x02cd")  # data that looks like a channel
        + from_server(frames.BINARY, b"\x02err")
        + from_server(frames.BINARY, b"\x01")
    )

    assert channels.pump(5) == [(1, b"ab"), (1, b"\x02cd"), (2, b"err")]
    channels.flush()
    assert to_server(far.recv(1000)) == [(frames.PONG, b"beat")]
    assert not channels.ended


def test_what_goes_carries_its_channel_and_its_end(ends: tuple[Channels, socket.socket]) -> None:
    channels, far = ends
    channels.send(0, b"hello")
    channels.end(0)
    assert channels.backlog > 0

    channels.flush()

    assert channels.backlog == 0
    assert to_server(far.recv(1000)) == [(frames.BINARY, b"\x00hello"), (frames.BINARY, b"\xff\x00")]


def test_a_peer_that_does_not_read_holds_the_rest_back(ends: tuple[Channels, socket.socket]) -> None:
    channels, far = ends
    channels.send(0, bytes(8_000_000))
    channels.flush()
    held = channels.backlog
    assert 0 < held < 8_100_000

    received = b""
    while channels.backlog:
        received += far.recv(1 << 18)
        channels.flush()
    assert len(received) > 4_000_000
    far.close()


@pytest.mark.parametrize("how", ["close frame", "end of stream", "nonsense"])
def test_an_end_is_an_end_however_it_comes(ends: tuple[Channels, socket.socket], how: str) -> None:
    channels, far = ends
    last = from_server(frames.BINARY, b"\x01last")
    far.sendall(last + {"close frame": from_server(frames.CLOSE, b"\x03\xe8"), "nonsense": b"\x82\xff"}.get(how, b""))
    if how == "end of stream":
        far.close()

    received = channels.pump(5)
    received += channels.receive()

    assert channels.ended
    assert received == ([(1, b"last")] if how != "nonsense" else [])


def test_closing_says_goodbye(ends: tuple[Channels, socket.socket]) -> None:
    channels, far = ends
    channels.send(0, b"x")
    far.sendall(from_server(frames.CLOSE, b"\x03\xe8"))

    channels.close()

    assert to_server(far.recv(1000)) == [(frames.BINARY, b"\x00x"), (frames.CLOSE, b"\x03\xe8")]
    assert channels.socket.fileno() == -1
