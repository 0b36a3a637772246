"""Is the restored database the source? The verdict over two fingerprints, and every difference that speaks against it.

"equal" is said only of something that was seen: no table, no row, or anything unread on either side is never equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gsv_ops.database.digest import TableDigest
from gsv_ops.database.record import Fingerprint, Omission
from gsv_ops.database.sequences import fault

Verdict = Literal["equal", "different", "inconclusive"]

# The hash behind the digests is PostgreSQL's own, and so is the wording of definitions: both are comparable within a major version.
VERSIONS_PER_MAJOR = 10000


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was. Row counts are of tables (None: it has none, or the table is not there)."""

    table: str
    source_rows: int | None
    restored_rows: int | None
    what: str

    def __str__(self) -> str:
        if self.source_rows is None and self.restored_rows is None:
            return f"{self.table}: {self.what}"
        source, restored = ("none" if rows is None else rows for rows in (self.source_rows, self.restored_rows))
        return f"{self.table}: {self.what} (rows: source {source}, restored {restored})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict, and what it rests on.

    different: something is not as it was, see `differences`. inconclusive: nothing of what was compared differs, and something that
    matters was not compared, see `reasons`. `not_compared`: what no comparison covers, from both sides.
    """

    verdict: Verdict
    differences: tuple[Difference, ...]
    reasons: tuple[str, ...]
    tables_equal: int
    rows_equal: int
    not_compared: tuple[Omission, ...]


def compare(source: Fingerprint, restored: Fingerprint) -> Comparison:
    """The verdict on a restored database, given its source's fingerprint at the position it was restored to."""
    same_major = source.server_version // VERSIONS_PER_MAJOR == restored.server_version // VERSIONS_PER_MAJOR
    unread = {it.object for it in (*source.unread, *restored.unread)}
    differences = _identity(source, restored)
    tables_equal = rows_equal = 0
    for name in sorted(source.tables.keys() | restored.tables.keys()):
        difference = _table(name, source.tables.get(name), restored.tables.get(name), same_major)
        if difference is None:
            tables_equal += 1
            rows_equal += source.tables[name].rows
        elif name not in unread:
            differences.append(difference)
    differences += [it for it in _sequences(source, restored) if it.table not in unread]
    if same_major:
        differences += _large_objects(source, restored)
        differences += [it for it in _schema(source, restored) if it.table not in unread]
    reasons = _reasons(source, restored, same_major, tables_equal, rows_equal)
    verdict: Verdict = "different" if differences else "inconclusive" if reasons else "equal"
    not_compared = tuple(dict.fromkeys((*source.not_compared, *restored.not_compared)))
    return Comparison(verdict, tuple(differences), tuple(reasons), tables_equal, rows_equal, not_compared)


def _identity(source: Fingerprint, restored: Fingerprint) -> list[Difference]:
    pairs = (
        ("system identifier", source.system_identifier, restored.system_identifier),
        ("database", source.database, restored.database),
    )
    return [Difference(what, None, None, f"is {now}, the source's is {was}") for what, was, now in pairs if was != now]


def _table(name: str, was: TableDigest | None, now: TableDigest | None, same_major: bool) -> Difference | None:
    if was is None or now is None:
        what = "is in the restored database only" if was is None else "is missing from the restored database"
        return Difference(name, None if was is None else was.rows, None if now is None else now.rows, what)
    if was.rows != now.rows:
        return Difference(name, was.rows, now.rows, "has another number of rows")
    if same_major and (was.sum, was.xor) != (now.sum, now.xor):
        return Difference(name, was.rows, now.rows, "has as many rows with other content")
    return None


def _sequences(source: Fingerprint, restored: Fingerprint) -> list[Difference]:
    found = []
    for name in sorted(source.sequences.keys() | restored.sequences.keys()):
        was, now = source.sequences.get(name), restored.sequences.get(name)
        if was is None or now is None:
            what = "is in the restored database only" if was is None else "is missing from the restored database"
        else:
            what = fault(was, now) or ""
        if what:
            found.append(Difference(name, None, None, what))
    return found


def _large_objects(source: Fingerprint, restored: Fingerprint) -> list[Difference]:
    found = []
    was, now = source.large_objects, restored.large_objects
    objects = _table("large objects", was.objects, now.objects, True)
    if objects is not None:
        found.append(objects)
    if was.content is not None and now.content is not None:
        content = _table("the content of large objects", was.content, now.content, True)
        if content is not None:
            found.append(content)
    return found


def _schema(source: Fingerprint, restored: Fingerprint) -> list[Difference]:
    parts = sorted(source.schema.keys() | restored.schema.keys())
    return [
        Difference(f"schema: {part}", None, None, "is not as in the source")
        for part in parts
        if source.schema.get(part) != restored.schema.get(part)
    ]


def _reasons(source: Fingerprint, restored: Fingerprint, same_major: bool, tables_equal: int, rows_equal: int) -> list[str]:
    reasons = []
    if not same_major:
        majors = (it.server_version // VERSIONS_PER_MAJOR for it in (source, restored))
        reasons.append("digests of PostgreSQL {} and {} cannot be compared".format(*majors))
    for side, fingerprint in (("source", source), ("restored database", restored)):
        reasons += [f"unread in the {side}: {it.object}: {it.reason}" for it in fingerprint.unread]
    if (source.large_objects.content is None) != (restored.large_objects.content is None):
        reasons.append("the content of large objects was read on one side only")
    if not source.schema or not restored.schema:
        reasons.append("no part of the schema was read")
    if tables_equal == 0:
        reasons.append("no table was compared")
    elif rows_equal == 0:
        reasons.append("no row was compared: every table is empty")
    return reasons
