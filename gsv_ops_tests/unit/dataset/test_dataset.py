"""The dataset is what it says: counts by arithmetic, the same rows each time, every awkward thing really in it."""

from collections.abc import Callable

import psycopg
import pytest
from gsv_sandbox import dataset

from gsv_ops_tests.unit.dataset.conftest import SMALL, Database

pytestmark = pytest.mark.postgres

TABLES = """select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'm') and c.relispopulated and n.nspname not in ('pg_catalog', 'information_schema')"""
AWKWARD_TYPES = {
    "numeric", "jsonb", "json", "bytea", "_text", "timestamptz", "timestamp", "timetz", "interval", "float4", "float8", "uuid", "inet",
    "cidr", "macaddr", "int4range", "numrange", "tstzrange", "int4multirange", "citext", "tsvector", "bit", "varbit", "pg_lsn", "bpchar",
    "plan_tier", "amount", "_amount", "slug", "_int4", "oid", "point", "date", "name",
}  # fmt: skip


def superuser(postgres: Database, database: Database) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(**{**postgres, "dbname": database["dbname"]})


def digests(postgres: Database, database: Database) -> dict[str, tuple[object, ...]]:
    """{table: (count, digest over all rows in order)}, read past row-level security."""
    found = {}
    with superuser(postgres, database) as connection:
        connection.execute("set timezone = 'UTC'")
        for (table,) in connection.execute(TABLES).fetchall():
            query = f"select count(*), md5(string_agg(x::text, '|' order by x::text collate \"C\")) from {table} x"
            found[str(table)] = connection.execute(query).fetchone() or ()
    return found


@pytest.mark.parametrize("scale", [SMALL, 0.0131])
def test_the_counts_are_the_expected_ones(
    postgres: Database, empty_database: Callable[[], Database], seeded: Database, scale: float
) -> None:
    database = seeded if scale == SMALL else empty_database()
    dataset.seed(database, scale)
    assert {table: row[0] for table, row in digests(postgres, database).items()} == dataset.expected_counts(scale)


def test_at_scale_1_it_is_some_hundred_thousand_rows() -> None:
    counts = dataset.expected_counts()
    assert 300_000 < sum(counts.values()) < 1_000_000
    assert len(counts) > 20


def test_two_databases_get_equal_rows(postgres: Database, empty_database: Callable[[], Database], seeded: Database) -> None:
    other = empty_database()
    dataset.seed(other, SMALL)
    assert digests(postgres, other) == digests(postgres, seeded)


def test_a_second_call_changes_nothing(postgres: Database, seeded: Database) -> None:
    def state() -> object:
        with superuser(postgres, seeded) as connection:
            positions = connection.execute("select schemaname, sequencename, last_value from pg_sequences order by 1, 2")
            return digests(postgres, seeded), positions.fetchall()

    before = state()
    dataset.seed(seeded, SMALL)
    assert state() == before


def test_another_scale_is_refused(seeded: Database) -> None:
    with pytest.raises(dataset.SeedError, match=r"seeded with version 1 at scale 0\.02; asked for was version 1 at scale 1"):
        dataset.seed(seeded, 1.0)


@pytest.mark.parametrize("scale", [0, -1, 101, float("nan")])
def test_a_scale_out_of_range_is_refused(seeded: Database, scale: float) -> None:
    with pytest.raises(dataset.SeedError, match="expected a number above 0"):
        dataset.seed(seeded, scale)


def test_a_schema_of_other_making_is_left_alone(empty_database: Callable[[], Database]) -> None:
    database = empty_database()
    with psycopg.connect(**database) as connection:
        connection.execute("create schema registry")
    with pytest.raises(dataset.SeedError, match="not seeded here"):
        dataset.seed(database, SMALL)


def test_a_failed_seed_leaves_an_empty_database(postgres: Database, empty_database: Callable[[], Database]) -> None:
    database = empty_database()
    with psycopg.connect(**database) as connection:
        connection.execute('create schema "Billing Data"')
    with pytest.raises(psycopg.errors.DuplicateSchema):
        dataset.seed(database, SMALL)
    assert digests(postgres, database) == {}


def test_every_awkward_type_has_a_column(seeded: Database) -> None:
    with psycopg.connect(**seeded) as connection:
        rows = connection.execute(
            "select distinct t.typname from pg_attribute a join pg_type t on t.oid = a.atttypid join pg_class c on c.oid = a.attrelid"
            " join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('registry', 'Billing Data') and a.attnum > 0"
        ).fetchall()
    assert AWKWARD_TYPES - {name for (name,) in rows} == set()


@pytest.mark.parametrize(
    ("what", "query"),
    [
        ("a partitioned table", "select count(*) > 4 from pg_inherits"),
        ("a stored generated column", "select count(*) > 2 from pg_attribute where attgenerated = 's'"),
        ("identity columns", "select count(*) > 2 from pg_attribute where attidentity <> ''"),
        ("an unlogged table", "select count(*) > 0 from pg_class where relpersistence = 'u' and relkind = 'r'"),
        ("an unpopulated materialised view", "select count(*) = 1 from pg_class where relkind = 'm' and not relispopulated"),
        ("large objects", "select count(*) = 5 and sum(length(lo_get(oid))) > 100000 from pg_largeobject_metadata"),
        ("the extension citext", "select count(*) = 1 from pg_extension where extname = 'citext'"),
        ("rows that are equal to each other", "select count(*) > count(distinct x::text) from registry.heartbeats x"),
        ("a NaN, an infinity, a minus zero", """select exact = 'NaN' and double = '-Infinity' and single::text = '-0' and
                                                 moment = '-infinity' from registry."Every Type" where id = 1"""),
        ("a row of NULLs", """select num_nulls(small, big, exact, words, instant, texts, spot, spans) = 8
                              from registry."Every Type" where id = 2"""),
        ("large values out of line", """select pg_relation_size(reltoastrelid) > 0 from pg_class
                                        where oid = 'registry.artifacts'::regclass"""),
        ("a name with a quote in it", """select count(*) = 1 from pg_class where relname = 'Invoice "Lines"'"""),
        ("every foreign key valid", "select count(*) > 8 and bool_and(convalidated) from pg_constraint where contype = 'f'"),
    ],
)  # fmt: skip
def test_it_holds(seeded: Database, what: str, query: str) -> None:
    with psycopg.connect(**seeded) as connection:
        assert connection.execute(query).fetchone() == (True,), what


def test_row_level_security_hides_rows_from_the_owner_too(postgres: Database, seeded: Database) -> None:
    with psycopg.connect(**seeded) as owner:
        assert owner.execute("select count(*) from registry.tenant_keys").fetchone() == (0,)
        owner.execute("set registry.tenant = '2'")
        assert owner.execute("select count(*) > 0 from registry.tenant_keys").fetchone() == (True,)
    with superuser(postgres, seeded) as connection:
        expected = dataset.expected_counts(SMALL)["registry.tenant_keys"]
        assert connection.execute("select count(*) from registry.tenant_keys").fetchone() == (expected,)
