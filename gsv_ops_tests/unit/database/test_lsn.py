"""WAL positions and file names, held against PostgreSQL's own rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.database.lsn import (
    DEFAULT_SEGMENT_SIZE,
    LSN_LIMIT,
    WalFile,
    format_lsn,
    next_segment,
    parse_lsn,
    parse_wal_name,
    position_key,
    previous_segment,
    segment_ending_at,
    segment_name,
    segment_start,
)

MIB = 1024 * 1024
sizes = st.integers(20, 30).map(lambda power: 1 << power)
lsns = st.integers(0, LSN_LIMIT - 1)
timelines = st.integers(1, 2**32 - 1)


@pytest.mark.parametrize(
    ("text", "lsn"),
    [
        ("0/0", 0),
        ("0/402E3D0", 0x402E3D0),
        ("16/B374D848", 0x16B374D848),
        ("FFFFFFFF/FFFFFFFF", LSN_LIMIT - 1),
        ("1/0", 1 << 32),
    ],
)
def test_a_position_is_read_and_written(text: str, lsn: int) -> None:
    assert parse_lsn(text) == lsn
    assert format_lsn(lsn) == text


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "0/123456789", "0/G", "0/1 ", "0/1\n", "-1/0", "0x1/0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a WAL position"):
        parse_lsn(text)


@pytest.mark.parametrize("lsn", [-1, LSN_LIMIT])
def test_a_position_outside_64_bits_is_refused(lsn: int) -> None:
    with pytest.raises(ValueError, match="not a WAL position"):
        format_lsn(lsn)


@pytest.mark.parametrize(
    ("lsn", "timeline", "size", "name"),
    [
        ("0/0", 1, 16 * MIB, "000000010000000000000000"),
        ("0/1530498", 1, 16 * MIB, "000000010000000000000001"),
        ("0/FFFFFFFF", 1, 16 * MIB, "0000000100000000000000FF"),
        ("1/0", 1, 16 * MIB, "000000010000000100000000"),
        ("16/B374D848", 0x2A, 16 * MIB, "0000002A00000016000000B3"),
        ("16/B374D848", 1, 64 * MIB, "00000001000000160000002C"),
        ("16/B374D848", 1, 1024 * MIB, "000000010000001600000002"),
        ("16/B374D848", 1, MIB, "000000010000001600000B37"),
    ],
)
def test_the_segment_of_a_position(lsn: str, timeline: int, size: int, name: str) -> None:
    assert segment_name(parse_lsn(lsn), timeline, size) == name


def test_on_a_boundary_what_ends_there_and_what_begins_there_differ() -> None:
    boundary = 3 * DEFAULT_SEGMENT_SIZE
    assert segment_name(boundary, 1) == "000000010000000000000003"
    assert segment_ending_at(boundary, 1) == "000000010000000000000002"
    assert segment_ending_at(boundary + 1, 1) == "000000010000000000000003"
    with pytest.raises(ValueError, match="no segment ends"):
        segment_ending_at(0, 1)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("00000002000000160000002C", ("segment", 2, "00000002000000160000002C")),
        ("00000002000000160000002C.partial", ("partial", 2, "00000002000000160000002C")),
        ("00000002000000160000002C.00000028.backup", ("backup", 2, "00000002000000160000002C")),
        ("0000000A.history", ("history", 10, None)),
    ],
)
def test_the_files_of_an_archive_are_told_apart(name: str, file: tuple[str, int, str | None]) -> None:
    kind, timeline, segment = file
    assert parse_wal_name(name) == WalFile(name, kind, timeline, segment)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["", "00000001", "00000001000000000000000", "0000000100000000000000011", "00000001000000000000000g", "00000001.backup",
     "000000010000000000000001.gz", "000000010000000000000001.history", "000000010000000000000001\n", "00000001000000000000000a"],
)  # fmt: skip
def test_what_is_no_file_of_an_archive_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a WAL file name"):
        parse_wal_name(name)


def test_positions_are_ordered_across_timelines() -> None:
    old, new = "000000010000000000000009", "00000002000000000000000A"
    assert position_key(old) < position_key(new)
    assert position_key("000000020000000000000009") == position_key(old)
    with pytest.raises(ValueError, match="no position"):
        position_key("00000002.history")


def test_the_last_segment_of_a_log_is_followed_by_the_first_of_the_next() -> None:
    assert next_segment("0000000100000000000000FF") == "000000010000000100000000"
    assert previous_segment("000000010000000100000000") == "0000000100000000000000FF"
    assert next_segment("00000001000000000000003F", 64 * MIB) == "000000010000000100000000"


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: previous_segment("000000010000000000000000"), "outside the log"),
        (lambda: next_segment("00000001FFFFFFFF000000FF"), "outside the log"),
        (lambda: next_segment("000000010000000000000100"), "must be below 100"),
        (lambda: segment_name(0, 0), "not a timeline"),
        (lambda: segment_name(0, 1, 3 * MIB), "not a WAL segment size"),
        (lambda: segment_name(0, 1, 0), "not a WAL segment size"),
    ],
)
def test_what_cannot_be_is_refused(call: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        call()  # type: ignore[operator]


@given(lsns)
def test_written_and_read_back_it_is_the_same_position(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn


@given(lsns, timelines, sizes)
def test_a_position_lies_in_its_segment(lsn: int, timeline: int, size: int) -> None:
    name = segment_name(lsn, timeline, size)
    assert segment_start(name, size) <= lsn < segment_start(name, size) + size
    assert parse_wal_name(name).timeline == timeline


@given(lsns, lsns, timelines, timelines, sizes)
def test_segments_are_ordered_as_their_positions_are(a: int, b: int, s: int, t: int, size: int) -> None:
    if a // size < b // size:
        assert position_key(segment_name(a, s, size)) < position_key(segment_name(b, t, size))


@given(lsns, timelines, sizes)
def test_one_step_forward_and_back_is_no_step(lsn: int, timeline: int, size: int) -> None:
    name = segment_name(lsn, timeline, size)
    if lsn + size < LSN_LIMIT:
        assert next_segment(name, size) == segment_name(lsn + size, timeline, size)
        assert previous_segment(next_segment(name, size), size) == name
