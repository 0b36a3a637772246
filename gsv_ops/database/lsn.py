"""WAL positions and WAL file names: read, write, order and step through them.

A position (LSN) is a 64-bit byte offset into the write-ahead log. PostgreSQL writes it as two hexadecimal halves, "0/402E3D0"; here it is
an int.
A segment is one file of the log. Its name is 24 hexadecimal digits: the timeline, then 16 digits that say where in the log it lies.
The file names are those of PostgreSQL's access/xlog_internal.h.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

DEFAULT_SEGMENT_SIZE = 16 * 1024 * 1024
LSN_LIMIT = 1 << 64
TIMELINE_LIMIT = 1 << 32

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_WAL_NAME = re.compile(
    r"(?P<timeline>[0-9A-F]{8})"
    r"(?:\.(?P<history>history)|(?P<log>[0-9A-F]{8})(?P<segment>[0-9A-F]{8})"
    r"(?P<suffix>\.partial|\.(?P<offset>[0-9A-F]{8})\.backup)?)"
)

WalKind = Literal["segment", "partial", "backup", "history"]


@dataclass(frozen=True, slots=True)
class WalFile:
    """What a file name of the WAL archive says: which kind of file, on which timeline, and the segment it belongs to.

    `segment` is the name of the segment (24 digits); a timeline's history file belongs to none and has None.
    """

    name: str
    kind: WalKind
    timeline: int
    segment: str | None


def parse_lsn(text: str) -> int:
    """The position that "0/402E3D0" names, in bytes. Raises ValueError for anything else."""
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError(f"not a WAL position: {text!r}; expected two hexadecimal numbers, as in 0/402E3D0")
    return int(match[1], 16) << 32 | int(match[2], 16)


def format_lsn(lsn: int) -> str:
    """The position as PostgreSQL writes it: "0/402E3D0". Raises ValueError outside 64 bits."""
    if not 0 <= lsn < LSN_LIMIT:
        raise ValueError(f"not a WAL position: {lsn}; expected 0 to 2^64 - 1")
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def segment_name(lsn: int, timeline: int, segment_size: int = DEFAULT_SEGMENT_SIZE) -> str:
    """The segment that holds the byte at this position."""
    format_lsn(lsn)
    return _name(timeline, lsn // _checked(segment_size), segment_size)


def segment_ending_at(lsn: int, timeline: int, segment_size: int = DEFAULT_SEGMENT_SIZE) -> str:
    """The segment that holds the last byte before this position: the one to wait for when all WAL up to it is needed.

    It differs from `segment_name` only on a boundary, where the next segment is not written yet and may never be on a quiet server.
    """
    if lsn == 0:
        raise ValueError("no segment ends at position 0/0")
    return segment_name(lsn - 1, timeline, segment_size)


def parse_wal_name(name: str) -> WalFile:
    """What a WAL file name says. Raises ValueError for a name that PostgreSQL does not give."""
    match = _WAL_NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"not a WAL file name: {name!r}; expected 24 hexadecimal digits, with .partial or .<offset>.backup after them,"
            " or 8 digits and .history"
        )
    timeline = int(match["timeline"], 16)
    if match["history"]:
        return WalFile(name, "history", timeline, None)
    segment = name[:24]
    if match["suffix"] is None:
        return WalFile(name, "segment", timeline, segment)
    return WalFile(name, "partial" if match["suffix"] == ".partial" else "backup", timeline, segment)


def position_key(name: str) -> str:
    """The 16 digits that order segments by where they lie in the log, whatever their timeline: compare these as text."""
    segment = parse_wal_name(name).segment
    if segment is None:
        raise ValueError(f"{name} is a timeline's history and has no position in the log")
    return segment[8:]


def segment_start(name: str, segment_size: int = DEFAULT_SEGMENT_SIZE) -> int:
    """The position of the segment's first byte."""
    return _number(name, segment_size) * segment_size


def next_segment(name: str, segment_size: int = DEFAULT_SEGMENT_SIZE) -> str:
    """The segment after this one on the same timeline."""
    return _name(parse_wal_name(name).timeline, _number(name, segment_size) + 1, segment_size)


def previous_segment(name: str, segment_size: int = DEFAULT_SEGMENT_SIZE) -> str:
    """The segment before this one on the same timeline. Raises ValueError at the log's beginning."""
    return _name(parse_wal_name(name).timeline, _number(name, segment_size) - 1, segment_size)


def _number(name: str, segment_size: int) -> int:
    position, per_log = position_key(name), (1 << 32) // _checked(segment_size)
    log, segment = int(position[:8], 16), int(position[8:], 16)
    if segment >= per_log:
        raise ValueError(f"{name} is not a segment of {segment_size} bytes: its last 8 digits must be below {per_log:X}")
    return log * per_log + segment


def _name(timeline: int, number: int, segment_size: int) -> str:
    if not 0 < timeline < TIMELINE_LIMIT:
        raise ValueError(f"not a timeline: {timeline}; expected 1 to 2^32 - 1")
    if not 0 <= number < LSN_LIMIT // segment_size:
        raise ValueError(f"no such segment: number {number} lies outside the log")
    per_log = (1 << 32) // segment_size
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"


def _checked(segment_size: int) -> int:
    if segment_size & (segment_size - 1) or not 1 << 20 <= segment_size <= 1 << 30:
        raise ValueError(f"not a WAL segment size: {segment_size}; expected a power of two from 1 MiB to 1 GiB")
    return segment_size
