"""What the fingerprint of a quiet database sees, what it does not mind, and what it says it did not read. On a real server."""

import json
from collections.abc import Callable
from contextlib import closing

import pytest

from gsv_ops.database.compare import Difference, compare
from gsv_ops.database.digest import Relation, Unread, list_relations, read_table
from gsv_ops.database.fingerprint import Fingerprint, Inconclusive, Limits, take
from gsv_ops.database.session import connect, import_snapshot
from gsv_ops_tests.unit.database.conftest import Database

pytestmark = pytest.mark.postgres

MakeDatabase = Callable[..., Database]

TABLE = (
    "create table t (id int primary key, a text, b text)",
    "insert into t values (1, 'one', 'uno'), (2, 'two', 'due'), (3, null, ''), (4, 'four', 'quattro')",
)
AWKWARD = (
    "create type colour as enum ('red', 'green')",
    "create type pair as (a int, b text)",
    "create domain positive as int check (value > 0)",
    'create table "Odd ""T"" able" ("Select" int, "x" numeric(20, 4), y jsonb, z bytea, "a,b" text[], t timestamptz, tt timetz, d date,'
    " i interval, f8 float8, f4 float4, m money, c colour, p pair, dm positive, xm xml, u uuid, n inet, r int4range,"
    ' g int generated always as ("Select" * 2) stored)',
    """insert into "Odd ""T"" able" select i, i / 3.0, jsonb_build_object('k', i), decode(md5(i::text), 'hex'),
       array['a', null, 'NULL', ''],
       '2026-01-01Z'::timestamptz + i * interval '1 h', '12:00+02', '2026-01-01', '1 mon 2 days 03:04:05', i / 3.0, i / 3.0, i, 'green',
       (i, null)::pair, i, '<a>ä</a>', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1', '[1,5)' from generate_series(1, 100) i""",
)


def the(fingerprint: Fingerprint, table: str = "public.t") -> tuple[int, int, int]:
    digest = fingerprint.tables[table]
    return digest.rows, digest.sum, digest.xor


@pytest.mark.parametrize(
    ("change", "rows", "what"),
    [
        ("update t set a = 'One' where id = 1", 4, "has as many rows with other content"),
        ("delete from t where id = 2", 3, "has another number of rows"),
        ("insert into t values (5, null, null)", 5, "has another number of rows"),
        ("update t set a = b, b = a where id = 1", 4, "has as many rows with other content"),
        ("update t set a = case id when 1 then 'two' else 'one' end where id in (1, 2)", 4, "has as many rows with other content"),
        ("update t set a = '' where id = 3", 4, "has as many rows with other content"),
        ("update t set b = null where id = 3", 4, "has as many rows with other content"),
        ("update t set a = '', b = null where id = 3", 4, "has as many rows with other content"),
        ("update t set a = 'NULL' where id = 3", 4, "has as many rows with other content"),
        ("update t set a = 'one,uno', b = '' where id = 1", 4, "has as many rows with other content"),
        ("update t set a = 'one ' where id = 1", 4, "has as many rows with other content"),
    ],
)
def test_a_change_is_seen_and_named(make_database: MakeDatabase, change: str, rows: int, what: str) -> None:
    database = make_database(*TABLE)
    before = take(database.endpoint)
    database.run(change)
    verdict = compare(before, take(database.endpoint))
    assert verdict.verdict == "different"
    assert verdict.differences == (Difference("public.t", 4, rows, what),)


@pytest.mark.parametrize(
    "change",
    [
        "update t set v = case v when 'a' then 'b' else 'a' end where v in ('a', 'b')",  # two of each: an xor alone sees nothing
        "update t set v = 'b' where v = 'a'",
    ],
)
def test_rows_that_occur_twice_count_twice(make_database: MakeDatabase, change: str) -> None:
    database = make_database("create table t (v text)", "insert into t values ('a'), ('a'), ('b'), ('b'), ('b'), ('b'), ('c')")
    before = take(database.endpoint)
    database.run(change)
    assert compare(before, take(database.endpoint)).verdict == "different"


def test_a_pair_of_equal_rows_replaced_by_another_pair_is_seen(make_database: MakeDatabase) -> None:
    database = make_database("create table t (v text)", "insert into t values ('a'), ('a')")
    before = take(database.endpoint)
    database.run("update t set v = 'b'")
    after = take(database.endpoint)
    assert before.tables["public.t"].xor == after.tables["public.t"].xor == 0
    assert compare(before, after).verdict == "different"


@pytest.mark.parametrize(
    ("setup", "change"),
    [
        # a column named as the query's alias, and one named as the table
        (("create table t (x int, t int, line text)", "insert into t values (1, 1, 'a')"), "update t set line = 'b'"),
        # the owner's own idea of the row's text
        (
            ("create table t (v int)", "insert into t values (1)", "create function f(t) returns text language sql as $$select 'same'$$",
             "create cast (t as text) with function f(t)"),
            "update t set v = 2",
        ),
        (("create table t (v text[])", "insert into t values ('{null}')"), "update t set v = '{\"NULL\"}'"),
        (("create type p as (a int, b int)", "create table t (v p)", "insert into t values (null)"), "update t set v = row(null, null)"),
        (("create table t (v float8)", "insert into t values (0.1)"), "update t set v = 0.1 + 1e-17 * 2"),
        (("create table t (v numeric)", "insert into t values (1.0)"), "update t set v = 1.00"),
        (("create table t ()", "insert into t default values"), "insert into t default values"),
        (("create table t (v int)", "create table child () inherits (t)", "insert into t values (1)", "insert into child values (2)"),
         "with gone as (delete from only t returning v) insert into child select v from gone"),
        (("create table t (v xml)", "insert into t values ('<a/>')"), "update t set v = '<a></a>'"),
    ],
)  # fmt: skip
def test_what_hides_a_change_from_a_careless_query_does_not_here(make_database: MakeDatabase, setup: tuple[str, ...], change: str) -> None:
    database = make_database(*setup)
    before = take(database.endpoint)
    database.run(change)
    after = take(database.endpoint)
    assert the(before) != the(after)
    assert {it.table for it in compare(before, after).differences} >= {"public.t"}


def test_the_same_rows_are_the_same_however_they_came_to_be(make_database: MakeDatabase) -> None:
    one = make_database(*TABLE)
    # other order, dead rows, a column dropped, other OIDs
    other = make_database(
        "create table before (id int)",
        "create table t (id int primary key, gone int, a text, b text)",
        "insert into t values (9, 9, '', '')",
        "insert into t values (4, 7, 'four', 'quattro'), (3, 7, null, ''), (2, 7, 'two', 'due'), (1, 7, '?', 'uno')",
        "update t set a = 'one' where id = 1",
        "delete from t where id = 9",
        "alter table t drop column gone",
        "drop table before",
    )
    first, second = take(one.endpoint), take(other.endpoint)
    assert the(first) == the(second)
    assert {part for part in first.schema if first.schema[part] != second.schema[part]} == {"database"}  # its name


@pytest.mark.parametrize(
    "options",
    ["", "locale_provider icu icu_locale 'de-DE'", "encoding 'UTF8' lc_collate 'C.utf8' lc_ctype 'C.utf8'"],
)
def test_settings_and_locale_of_the_database_do_not_matter(make_database: MakeDatabase, options: str) -> None:
    plain = take(make_database(*AWKWARD).endpoint)
    other = make_database(*AWKWARD, options=options)
    for setting in ("timezone = 'Asia/Kolkata'", "datestyle = 'German'", "intervalstyle = 'iso_8601'", "bytea_output = 'escape'",
                    "extra_float_digits = -5", "lc_monetary = 'C.utf8'", "xmloption = 'document'", "search_path = public"):  # fmt: skip
        other.run(f"alter database {other.endpoint.database} set {setting}")
    strange = take(other.endpoint)
    assert the(plain, 'public."Odd ""T"" able"') == the(strange, 'public."Odd ""T"" able"')
    assert the(plain, 'public."Odd ""T"" able"')[0] == 100
    assert plain.unread == strange.unread == ()


def test_what_cannot_be_compared_is_listed_with_its_reason(make_database: MakeDatabase) -> None:
    database = make_database(
        *TABLE,
        "create unlogged table u (v int)",
        "create materialized view empty as select 1 with no data",
        "create materialized view full_view as select * from t",
        "create table part (k int, v text) partition by list (k)",
        "create table part_1 partition of part for values in (1)",
        "create table part_2 partition of part for values in (2)",
        "insert into part values (1, 'a'), (2, 'b'), (2, 'c')",
        "create extension file_fdw",
        "create server files foreign data wrapper file_fdw",
        "create foreign table f (v text) server files options (filename '/dev/null')",
        "create sequence round maxvalue 3 cycle",
    )
    with database.connect() as session:
        session.execute("create temp table mine (v int)")
        fingerprint = take(database.endpoint)
    assert {it.object.replace("pg_temp", "").lstrip("_0123456789"): it.reason.split(":")[0] for it in fingerprint.not_compared} == {
        "public.u": "unlogged",
        "public.empty": "a materialised view that is not populated",
        "public.part": "partitioned",
        "public.f": "foreign",
        ".mine": "temporary",
        "public.round": "cycles",
    }
    assert {name: digest.rows for name, digest in fingerprint.tables.items()} == {
        "public.t": 4, "public.full_view": 4, "public.part_1": 1, "public.part_2": 2,
    }  # fmt: skip
    assert fingerprint.unread == ()
    assert compare(fingerprint, fingerprint).not_compared == fingerprint.not_compared


def test_no_schema_of_a_user_s_is_left_out_by_its_name(make_database: MakeDatabase) -> None:
    database = make_database(
        "create table information_schema.mine as select 1 as v", "create schema pgx", "create table pgx.t as select 2 v"
    )
    assert set(take(database.endpoint).tables) == {"information_schema.mine", "pgx.t"}


def test_a_policy_that_hides_rows_leaves_the_table_unread(make_database: MakeDatabase) -> None:
    database = make_database(
        *TABLE, "create table guarded as select generate_series(1, 10) v", "alter table guarded enable row level security",
        "create policy few on guarded using (v < 4)", "create role plain login replication",
        "grant pg_read_all_data, pg_monitor to plain",
    )  # fmt: skip
    try:
        seen = take(database.endpoint)
        assert seen.tables["public.guarded"].rows == 10
        assert seen.unread == ()
        hidden = take(database.as_role("plain"))
        assert "public.guarded" not in hidden.tables
        assert [(it.object, "row-level security" in it.reason) for it in hidden.unread] == [("public.guarded", True)]
        assert hidden.tables["public.t"].rows == 4
        verdict = compare(hidden, hidden)
        assert verdict.verdict == "inconclusive"
        assert "public.guarded" in verdict.reasons[0]
    finally:
        database.run("drop owned by plain", "drop role plain")


def test_a_table_that_may_not_be_read_is_unread_and_large_objects_say_why(make_database: MakeDatabase) -> None:
    database = make_database(*TABLE, "select lo_from_bytea(0, 'abc')", "create role plain login replication",
                             "create table open_table as select 1 v", "grant select on open_table to plain")  # fmt: skip
    try:
        fingerprint = take(database.as_role("plain"))
        assert set(fingerprint.tables) == {"public.open_table"}
        assert [it.object for it in fingerprint.unread] == ["public.t"]
        assert "permission denied for table t" in fingerprint.unread[0].reason
        assert fingerprint.large_objects.objects.rows == 1
        assert fingerprint.large_objects.content is None
        assert [it.object for it in fingerprint.not_compared] == ["the content of large objects"]
    finally:
        database.run("drop owned by plain", "drop role plain")


def test_a_table_locked_for_longer_than_the_limit_is_unread(make_database: MakeDatabase) -> None:
    database = make_database(*TABLE, "create table other as select 1 v")
    with database.connect() as session, session.transaction():
        session.execute("lock table t in access exclusive mode")
        fingerprint = take(database.endpoint, limits=Limits(lock_seconds=0.3))
    unread = {it.object: it.reason for it in fingerprint.unread}
    assert "lock timeout" in unread["public.t"]
    assert set(fingerprint.tables) == {"public.other"}


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("select lo_put(oid, 1, 'X') from pg_largeobject_metadata limit 1", "the content of large objects"),
        ("select lo_unlink(max(oid)) from pg_largeobject_metadata", "large objects"),
        ("do $$ begin execute 'grant select on large object ' || (select max(oid) from pg_largeobject_metadata) || ' to public'; end $$",
         "large objects"),
    ],
)  # fmt: skip
def test_large_objects_are_compared_with_their_content_and_grants(make_database: MakeDatabase, change: str, verdict: str) -> None:
    database = make_database(*TABLE, "select lo_from_bytea(0, 'abc'), lo_from_bytea(0, decode(repeat('00ff', 9000), 'hex'))")
    before = take(database.endpoint)
    assert before.large_objects.objects.rows == 2
    assert before.large_objects.content is not None
    assert before.large_objects.content.rows > 2  # pages
    database.run(change)
    assert verdict in {it.table for it in compare(before, take(database.endpoint)).differences}


PARTS = {
    "alter table t add column c int default 7": "columns",
    "alter table t alter column a set default 'x'": "columns",
    "alter table t add constraint c check (id < 100)": "constraints",
    "create index on t (lower(a))": "indexes",
    "create or replace view v as select id + 1 as id from t": "views",
    "create or replace function f() returns int language sql as 'select 2'": "functions",
    "create aggregate summed (int) (sfunc = int4pl, stype = int)": "functions",
    "alter table t disable trigger g": "triggers",
    "alter policy p on t using (id > 1)": "policies",
    "alter type e add value 'c'": "types",
    "alter type e rename value 'a' to 'A'": "types",
    "create extension pg_trgm": "extensions",
    "alter table t owner to gsv_ops": "relations",
    "grant select on t to public": "relations",
    "alter table t set unlogged": "relations",
    "alter sequence s increment 2": "sequences",
    "create rule r as on delete to t do instead nothing": "rules",
    "create schema other": "schemas",
    "comment on column t.a is 'a'": "comments",
    "create statistics st on id, a from t": "extended statistics",
    "create publication everything for all tables": "publications and subscriptions",
    "alter default privileges grant select on tables to public": "default privileges",
    "grant execute on function pg_switch_wal() to gsv_ops": "grants on system objects",
    "create collation german (provider = icu, locale = 'de-DE')": "other objects",
}


@pytest.mark.parametrize(("change", "part"), PARTS.items())
def test_a_change_of_the_schema_is_seen_and_its_part_named(make_database: MakeDatabase, change: str, part: str) -> None:
    database = make_database(
        *TABLE, "create type e as enum ('a', 'b')", "create view v as select id from t", "create sequence s",
        "create function f() returns int language sql as 'select 1'",
        "create function g() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger g before insert on t for each row execute function g()", "create policy p on t using (true)",
    )  # fmt: skip
    before = take(database.endpoint)
    database.run(change)
    after = take(database.endpoint)
    assert part in {name for name in before.schema if before.schema[name] != after.schema[name]}
    verdict = compare(before, after)
    assert (verdict.verdict, f"schema: {part}" in {it.table for it in verdict.differences}) == ("different", True)


def test_roles_are_compared_and_their_passwords_never_read(make_database: MakeDatabase) -> None:
    database = make_database(*TABLE, "create role someone login password 'first'")
    try:
        before = take(database.endpoint)
        database.run("alter role someone password 'second'")
        assert compare(before, take(database.endpoint)).verdict == "equal"
        database.run("alter role someone createdb")
        assert [it.table for it in compare(before, take(database.endpoint)).differences] == ["schema: roles"]
    finally:
        database.run("drop role someone")


def test_json_gives_back_the_same_value(make_database: MakeDatabase) -> None:
    database = make_database(*TABLE, *AWKWARD, "create unlogged table u (id serial)", "create sequence s", "select lo_from_bytea(0, 'a')")
    fingerprint = take(database.endpoint)
    stored = json.dumps(fingerprint.to_json())
    assert Fingerprint.from_json(json.loads(stored)) == fingerprint
    assert isinstance(json.loads(stored)["tables"]["public.t"]["sum"], str)
    assert fingerprint.lsn is None
    assert fingerprint.server_version // 10000 == 15
    assert fingerprint.rows == 104
    for broken, problem in ({"version": 2}, "version 2"), ({"version": 1}, "'large_objects' is missing"):
        with pytest.raises(ValueError, match=problem):
            Fingerprint.from_json(broken)


def test_over_the_byte_budget_it_is_inconclusive_with_both_numbers(make_database: MakeDatabase) -> None:
    database = make_database("create table t as select g, repeat('x', 100) from generate_series(1, 1000) g")
    with pytest.raises(Inconclusive, match=r"take \d{6} bytes on disk; the limit is 8192"):
        take(database.endpoint, limits=Limits(bytes=8192))


def test_past_the_deadline_it_is_inconclusive_and_no_session_stays(make_database: MakeDatabase) -> None:
    database = make_database("create table t as select g, repeat('x', 200) v from generate_series(1, 1500000) g")
    with pytest.raises(Inconclusive, match=r"within 0\.6 s"):
        take(database.endpoint, limits=Limits(total_seconds=0.6))
    left = "select count(*) from pg_stat_activity where application_name like 'gsv_ops%'"
    assert database.run("select pg_sleep(0.3)", left) == [(0,)]


@pytest.mark.parametrize(
    "change",
    [
        "truncate t",
        "begin; create table new (like t); drop table t; alter table new rename to t; commit",
        "alter table t alter column id type bigint",
        "drop table t",
    ],
)
def test_a_table_replaced_after_the_snapshot_is_unread_and_never_short(make_database: MakeDatabase, change: str) -> None:
    database = make_database(*TABLE)
    with closing(connect(database.endpoint)) as holder, closing(connect(database.endpoint)) as reader, holder.transaction():
        holder.execute("set transaction isolation level repeatable read, read only")
        snapshot = holder.execute("select pg_export_snapshot()").fetchone()[0]  # type: ignore[index]
        with reader.transaction():
            import_snapshot(reader, snapshot)
            (table,) = list_relations(reader)
        assert isinstance(table, Relation)
        assert read_table(reader, snapshot, table, "10s").rows == 4
        database.run(*change.split("; "))
        with pytest.raises(Unread):
            read_table(reader, snapshot, table, "10s")


def test_a_column_added_after_the_snapshot_is_not_in_the_digest(make_database: MakeDatabase) -> None:
    database = make_database(*TABLE)
    with closing(connect(database.endpoint)) as holder, closing(connect(database.endpoint)) as reader, holder.transaction():
        holder.execute("set transaction isolation level repeatable read, read only")
        snapshot = holder.execute("select pg_export_snapshot()").fetchone()[0]  # type: ignore[index]
        with reader.transaction():
            import_snapshot(reader, snapshot)
            (table,) = list_relations(reader)
        before = read_table(reader, snapshot, table, "10s")
        database.run("alter table t add column late int default 5", "update t set a = 'late'")
        assert read_table(reader, snapshot, table, "10s") == before
