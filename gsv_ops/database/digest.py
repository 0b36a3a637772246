"""What one relation holds, as a row count and two digests that do not depend on the order of its rows.

Every row is written as text by PostgreSQL's own output functions and hashed twice with different seeds; one hash is summed, the other
xor-ed. The sum counts equal rows as often as they occur, which an xor alone would cancel. Two contents that differ agree in both with
a probability of about 2^-128. The hash is PostgreSQL's own and may change between major versions: compare within one.

The row's text is unambiguous: NULL, '' and 'NULL' differ, and values are quoted where a comma or parenthesis could mislead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from gsv_ops.database.session import Connection, DatabaseError, Forbidden, QueryFailed, TimedOut, import_snapshot, meaning

# Objects with a lower OID were made by initdb: pg_catalog and information_schema, which every database has and the schema's parts
# cover. No schema is left out by its name, so nothing of a user's hides in one. TOAST data is read through the tables it belongs to.
FIRST_OF_USERS = 16384

RELATIONS = """
    select c.oid, format('%%I.%%I', n.nspname, c.relname), n.nspname, c.relname, c.relkind::text, c.relpersistence::text,
           c.relispopulated, c.relfilenode,
           array(select a.attname::text from pg_attribute a
                  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'm', 'f') and c.oid >= %s order by 1
"""
SIZES = "select oid, coalesce(pg_table_size(oid), 0) from unnest(%s::oid[]) oid"

SHORT_WAIT = "set local lock_timeout = '500ms'"
ESTIMATED_SIZES = "select oid, greatest(relpages, 0) * current_setting('block_size')::bigint from pg_class where oid = any(%s::oid[])"

# ROW(...) and not the row type's own name: a cast to text that a user defined for the type is then never called, and a column with the
# alias's name does not stand in for the row. OFFSET 0 keeps the planner from writing the row out twice, once per hash. The collation is
# named so that the database's own cannot matter. ONLY, because the rows of a child are counted with the child.
DIGEST = sql.SQL("""
    select count(*), coalesce(sum(hashtextextended(line, 0)), 0)::text, coalesce(bit_xor(hashtextextended(line, 1)), 0)::text
      from (select row({columns})::text collate "C" as line from only {relation} as x offset 0) as lines
""")
LARGE_OBJECT = sql.SQL("oid, pg_get_userbyid(lomowner), lomacl")
LARGE_OBJECT_PAGE = sql.SQL("loid, pageno, data")
STILL_THE_SAME = "select pg_relation_filenode(%s) = %s and to_regclass(%s)::oid = %s"


@dataclass(frozen=True, slots=True)
class TableDigest:
    """A relation's rows, their two digests, and its size on disk in bytes (which is shown and never compared)."""

    rows: int
    sum: int
    xor: int
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class LargeObjects:
    """The database's large objects: one row each with owner and grants, and the pages of their content (None where unreadable)."""

    objects: TableDigest
    content: TableDigest | None


@dataclass(frozen=True, slots=True)
class Relation:
    """A table-like object as the snapshot lists it: what is needed to read it, and to notice that it was replaced meanwhile."""

    oid: int
    name: str
    schema: str
    relname: str
    kind: str
    persistence: str
    populated: bool
    filenode: int
    columns: tuple[str, ...]
    bytes: int = 0

    @property
    def not_compared(self) -> str | None:
        """Why its rows are not compared; None when they are."""
        if self.persistence == "t":
            return "temporary: its session's own, and no part of a backup"
        if self.kind == "p":
            return "partitioned: holds no rows itself, each of its partitions is compared"
        if self.kind == "f":
            return "foreign: its rows are on another server"
        if self.persistence == "u":
            return "unlogged: empty after a recovery"
        if self.kind == "m" and not self.populated:
            return "a materialised view that is not populated"
        return None


class Unread(Exception):
    """A relation's rows could not be read as they were at the snapshot; the message is the reason."""


def list_relations(connection: Connection) -> list[Relation]:
    """Every table, partition, materialised view and foreign table that the transaction sees, the compared ones with their size."""
    with meaning("listing the tables"):
        relations = [Relation(*(*row[:8], tuple(row[8]))) for row in connection.execute(RELATIONS, [FIRST_OF_USERS])]
    with meaning("measuring the tables"):
        compared = [relation.oid for relation in relations if relation.not_compared is None]
        sizes: dict[int, int] = dict(_measure(connection, compared))
    return [replace(relation, bytes=sizes.get(relation.oid, 0)) for relation in relations]


def _measure(connection: Connection, oids: list[int]) -> list[tuple[Any, ...]]:
    try:
        with connection.transaction():
            connection.execute(SHORT_WAIT)
            return connection.execute(SIZES, [oids]).fetchall()
    except psycopg.errors.LockNotAvailable:
        # Somebody holds one of them exclusively. Reading it will wait again, and name it; here the planner's own figures do.
        return connection.execute(ESTIMATED_SIZES, [oids]).fetchall()


def read_table(connection: Connection, snapshot: str, relation: Relation, timeout: str) -> TableDigest:
    """The relation's digest as the snapshot sees it, in a transaction of its own so that its lock is held no longer than it is read.

    Raises Unread when it was replaced, rewritten or truncated since (a snapshot does not protect from that), when a policy hides rows
    from this role, or when it may not or cannot be read.
    """
    query = DIGEST.format(
        columns=sql.SQL(", ").join(sql.Identifier("x", column) for column in relation.columns),
        relation=sql.Identifier(relation.schema, relation.relname),
    )
    try:
        with meaning("reading", "SELECT, by membership of pg_read_all_data, or BYPASSRLS"), connection.transaction():
            import_snapshot(connection, snapshot)
            connection.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(timeout)))
            digest = _digest(connection.execute(query).fetchone(), relation.bytes)
            # Both functions see the catalog of this moment, and our lock on the table keeps it so.
            same = connection.execute(STILL_THE_SAME, [relation.oid, relation.filenode, relation.name, relation.oid]).fetchone()
    except (Forbidden, QueryFailed, TimedOut) as error:
        raise Unread(str(error)) from None
    if same != (True,):
        raise Unread("it was truncated, rewritten or replaced after the snapshot was taken")
    return digest


def large_object_bytes(connection: Connection) -> int:
    """The size on disk of the content of all large objects."""
    with meaning("measuring the large objects"):
        row = connection.execute("select pg_table_size('pg_largeobject')").fetchone()
    return row[0] if row and isinstance(row[0], int) else 0


def read_large_objects(connection: Connection) -> tuple[LargeObjects, str | None]:
    """The large objects that the transaction sees, and why their content is not compared, if it is not."""
    with meaning("counting the large objects"):
        query = DIGEST.format(columns=LARGE_OBJECT, relation=sql.Identifier("pg_largeobject_metadata"))
        objects = _digest(connection.execute(query).fetchone())
    try:
        # Read from the catalog: lo_get asks each object's own grants, which membership of pg_read_all_data does not give.
        with meaning("reading large objects", "SELECT on pg_largeobject, by membership of pg_read_all_data"), connection.transaction():
            query = DIGEST.format(columns=LARGE_OBJECT_PAGE, relation=sql.Identifier("pg_largeobject"))
            content = _digest(connection.execute(query).fetchone())
    except Forbidden as error:
        return LargeObjects(objects, None), str(error)
    return LargeObjects(objects, content), None


def _digest(row: tuple[object, ...] | None, size: int = 0) -> TableDigest:
    if row is None or not isinstance(row[0], int):
        raise DatabaseError("the server gave no digest")
    return TableDigest(row[0], int(str(row[1])), int(str(row[2])), size)
