"""Where the database's sequences stand, and whether a restored one would hand out a number again.

A sequence is not versioned: every reader sees where it stands now, whatever its snapshot, and a recovery sets it up to 32 values ahead.
So two sequences are never compared for equality. The rule is that a restored one must not stand before where the source stood, nor at or
before the greatest value in the column it feeds.

A server that was promoted stands up to 32 values further than any value that was handed out, until it hands out its own first one; a base
backup from its former primary knows better. So far a restored sequence may stand before such a source.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from gsv_ops.database.digest import FIRST_OF_USERS
from gsv_ops.database.session import Connection, DatabaseError, meaning

# The feeding is written down as a dependency of the sequence on a column: 'a' by OWNED BY and serial, 'i' by identity.
SEQUENCES = """
    select format('%%I.%%I', n.nspname, c.relname), n.nspname, c.relname, c.relpersistence::text, s.seqincrement, s.seqcycle,
           o_n.nspname, o.relname, a.attname
      from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
      left join (pg_depend d join pg_class o on o.oid = d.refobjid join pg_namespace o_n on o_n.oid = o.relnamespace
                 join pg_attribute a on a.attrelid = o.oid and a.attnum = d.refobjsubid
                    and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype))
             on d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
                and d.objid = c.oid and d.refobjsubid > 0 and d.deptype in ('a', 'i')
     where c.oid >= %s order by 1
"""
POSITION = sql.SQL("select last_value, is_called, log_cnt from {}")
# How many values PostgreSQL writes to the WAL before it hands them out: SEQ_LOG_VALS of sequence.c. log_cnt is how many of them are left; 0
# where the position came from the WAL, or by setval.
LOGGED_AHEAD = 32
FURTHEST = sql.SQL("select {}({})::bigint from {}")


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence as the catalog lists it, and the column it feeds."""

    name: str
    schema: str
    relname: str
    persistence: str
    increment: int
    cycles: bool
    owner_schema: str | None
    owner_table: str | None
    owner_column: str | None

    @property
    def not_compared(self) -> str | None:
        """Why it is not compared; None when it is."""
        if self.persistence == "t":
            return "temporary: its session's own, and no part of a backup"
        if self.persistence == "u":
            return "unlogged: starts again after a recovery"
        if self.cycles:
            return "cycles: no position is ahead of another"
        return None


@dataclass(frozen=True, slots=True)
class Position:
    """What reading a sequence gives. `left`: how many values it may hand out before it writes to the WAL again."""

    last_value: int
    is_called: bool
    left: int


@dataclass(frozen=True, slots=True)
class SequenceState:
    """Where a sequence stood and the furthest value of the column it feeds (None: feeds none, or the column is empty).

    `behind`: it would hand out a value the column already holds. An application that numbers rows by itself leaves its sequence so.
    `perhaps_unused`: of how many values up to its position nobody can tell whether they were ever handed out.
    """

    last_value: int
    is_called: bool
    increment: int
    column_furthest: int | None = None
    behind: bool = False
    perhaps_unused: int = 0

    @property
    def next_value(self) -> int:
        """The value that nextval would give."""
        return self.last_value + self.increment if self.is_called else self.last_value


def list_sequences(connection: Connection) -> list[Sequence]:
    """Every sequence that the connection sees."""
    with meaning("listing the sequences"):
        return [Sequence(*row) for row in connection.execute(SEQUENCES, [FIRST_OF_USERS])]


def read_position(connection: Connection, sequence: Sequence) -> Position:
    """Where the sequence stands at this moment. Raises the session's errors."""
    with meaning(f"reading sequence {sequence.name}", "SELECT, by membership of pg_read_all_data"):
        row = connection.execute(POSITION.format(sql.Identifier(sequence.schema, sequence.relname))).fetchone()
    if row is None or not isinstance(row[0], int):
        raise DatabaseError(f"sequence {sequence.name} is empty")
    return Position(row[0], bool(row[1]), int(row[2]))


def read_furthest(connection: Connection, sequence: Sequence) -> int | None:
    """The furthest value, in the sequence's direction, of the column it feeds, as the transaction sees it."""
    if sequence.owner_schema is None or sequence.owner_table is None or sequence.owner_column is None:
        return None
    query = FURTHEST.format(
        sql.SQL("max" if sequence.increment > 0 else "min"),
        sql.Identifier(sequence.owner_column),
        sql.Identifier(sequence.owner_schema, sequence.owner_table),
    )
    with meaning(f"reading the column that {sequence.name} feeds", "SELECT, by membership of pg_read_all_data, or BYPASSRLS"):
        row = connection.execute(query).fetchone()
    return row[0] if row and isinstance(row[0], int) else None


def state(sequence: Sequence, before: Position, after: Position, furthest: int | None) -> SequenceState:
    """The state to keep: the position read first, which a later restore point cannot lie before, judged by the one read last."""
    last = SequenceState(after.last_value, after.is_called, sequence.increment)
    behind = furthest is not None and not _ahead(last.next_value, furthest, sequence.increment)
    unused = LOGGED_AHEAD if before.left == 0 else 0
    return SequenceState(before.last_value, before.is_called, sequence.increment, furthest, behind, unused)


def went_backward(sequence: Sequence, before: Position, after: Position) -> bool:
    """Whether somebody set the sequence back between two readings, so that the first says nothing about the second."""
    first, last = (SequenceState(p.last_value, p.is_called, sequence.increment).next_value for p in (before, after))
    return _ahead(first, last, sequence.increment)


def fault(source: SequenceState, restored: SequenceState) -> str | None:
    """What is wrong with the restored sequence, or None."""
    if source.increment != restored.increment:
        return f"increments by {restored.increment}, the source by {source.increment}"
    if _ahead(source.next_value - source.perhaps_unused * source.increment, restored.next_value, source.increment):
        return f"went backward: would give {restored.next_value}, the source already {source.next_value}"
    if restored.behind and not source.behind:
        return f"would give {restored.next_value}, and its column already holds {restored.column_furthest}"
    return None


def _ahead(value: int, other: int, increment: int) -> bool:
    return value > other if increment > 0 else value < other
