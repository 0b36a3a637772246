"""A fingerprint as a value, and as the JSON that evidence keeps of it.

Digests are written as decimal strings, since they are larger than the numbers that JSON readers keep exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gsv_ops.database.digest import LargeObjects, TableDigest
from gsv_ops.database.lsn import format_lsn, parse_lsn
from gsv_ops.database.sequences import SequenceState

VERSION = 1


@dataclass(frozen=True, slots=True)
class Omission:
    """An object that is not in the fingerprint, and why."""

    object: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What one database comes to. Names are quoted as SQL needs them, with their schema: public."Odd Name".

    lsn: the position at which it is exact; None of a quiet database. server_version: as PostgreSQL numbers it, 150019 being 15.19.
    seconds: how long it took. schema: a digest per part (see catalog.py). not_compared: what cannot be compared, and why;
    unread: what should have been read and was not. A fingerprint with anything unread proves nothing.
    """

    lsn: int | None
    timeline: int
    system_identifier: str
    server_version: int
    database: str
    taken_at: datetime
    seconds: float
    tables: Mapping[str, TableDigest]
    sequences: Mapping[str, SequenceState]
    large_objects: LargeObjects
    schema: Mapping[str, str]
    not_compared: tuple[Omission, ...]
    unread: tuple[Omission, ...]

    @property
    def rows(self) -> int:
        """Rows in all compared tables."""
        return sum(table.rows for table in self.tables.values())

    @property
    def bytes(self) -> int:
        """Bytes on disk of all compared tables."""
        return sum(table.bytes for table in self.tables.values())

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON's types, which from_json reads back to an equal value."""
        return {
            "version": VERSION,
            "lsn": None if self.lsn is None else format_lsn(self.lsn),
            "timeline": self.timeline,
            "system_identifier": self.system_identifier,
            "server_version": self.server_version,
            "database": self.database,
            "taken_at": self.taken_at.isoformat(),
            "seconds": self.seconds,
            "tables": {name: _table_json(table) for name, table in self.tables.items()},
            "sequences": {
                name: {field: getattr(sequence, field) for field in SequenceState.__slots__} for name, sequence in self.sequences.items()
            },
            "large_objects": {
                "objects": _table_json(self.large_objects.objects),
                "content": None if self.large_objects.content is None else _table_json(self.large_objects.content),
            },
            "schema": dict(self.schema),
            "not_compared": [{"object": it.object, "reason": it.reason} for it in self.not_compared],
            "unread": [{"object": it.object, "reason": it.reason} for it in self.unread],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Fingerprint:
        """The fingerprint that to_json wrote. Raises ValueError for another version, or where something is missing or misshapen."""
        if data.get("version") != VERSION:
            raise ValueError(f"fingerprint of version {data.get('version')!r}; expected {VERSION}")
        try:
            large = data["large_objects"]
            return Fingerprint(
                lsn=None if data["lsn"] is None else parse_lsn(data["lsn"]),
                timeline=int(data["timeline"]),
                system_identifier=str(data["system_identifier"]),
                server_version=int(data["server_version"]),
                database=str(data["database"]),
                taken_at=datetime.fromisoformat(data["taken_at"]),
                seconds=float(data["seconds"]),
                tables={name: _table(table) for name, table in data["tables"].items()},
                sequences={name: SequenceState(**sequence) for name, sequence in data["sequences"].items()},
                large_objects=LargeObjects(_table(large["objects"]), None if large["content"] is None else _table(large["content"])),
                schema={str(part): str(digest) for part, digest in data["schema"].items()},
                not_compared=tuple(Omission(it["object"], it["reason"]) for it in data["not_compared"]),
                unread=tuple(Omission(it["object"], it["reason"]) for it in data["unread"]),
            )
        except KeyError as error:
            raise ValueError(f"not a fingerprint: {error} is missing") from None
        except (TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"not a fingerprint: {error}") from None


def _table_json(table: TableDigest) -> dict[str, Any]:
    return {"rows": table.rows, "sum": str(table.sum), "xor": str(table.xor), "bytes": table.bytes}


def _table(data: Mapping[str, Any]) -> TableDigest:
    return TableDigest(int(data["rows"]), int(data["sum"]), int(data["xor"]), int(data["bytes"]))
