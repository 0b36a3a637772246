"""WebSocket frames, against the client library's own reading and writing of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websocket import ABNF

from gsv_ops.kube import frames


def unmasked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """A frame as a server sends it."""
    frame = ABNF(int(final), 0, 0, 0, opcode, 0, payload)
    return bytes(frame.format())


@given(payload=st.binary(max_size=300), cut=st.integers(0, 300))
def test_a_frame_is_read_however_it_is_cut(payload: bytes, cut: int) -> None:
    data = unmasked(frames.BINARY, payload) + unmasked(frames.PING, b"x")
    decoder = frames.Decoder()

    found = [*decoder.feed(data[:cut]), *decoder.feed(data[cut:])]

    assert found == [(frames.BINARY, True, payload), (frames.PING, True, b"x")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_sizes_on_both_sides_of_each_limit(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    assert [*frames.Decoder().feed(unmasked(frames.BINARY, payload))] == [(frames.BINARY, True, payload)]

    sent = frames.encode(payload)
    head = 2 + (0 if size < 126 else 2 if size < 65536 else 8)
    key, body = sent[head : head + 4], sent[head + 4 :]
    assert sent[0] == 0x82
    assert sent[1] & 0x80
    assert bytes(ABNF.mask(key, body)) == payload


def test_fragments_keep_their_messages_kind_across_a_ping() -> None:
    data = unmasked(frames.TEXT, b"ab", final=False) + unmasked(frames.PING, b"") + unmasked(frames.CONTINUATION, b"cd")

    assert [*frames.Decoder().feed(data)] == [(frames.TEXT, True, b"ab"), (frames.PING, True, b""), (frames.TEXT, False, b"cd")]


@pytest.mark.parametrize(("data", "message"), [(b"\x82\x81abcdx", "masked"), (b"\x82\x7f" + b"\xff" * 8, "larger than")])
def test_what_is_no_servers_frame_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        [*frames.Decoder().feed(data)]
