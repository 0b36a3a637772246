"""A realistic agent_registry: some hundred thousand related rows with every awkward type, the same on every run.

The schema is in dataset_schema.sql, the rows in dataset_rows.sql. `seed` puts both into an empty database as its owner;
`expected_counts` says how many rows each table then has, by arithmetic and not by asking.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import psycopg

from gsv_sandbox.errors import SandboxError

log = logging.getLogger(__name__)

VERSION = 1  # raised with every change of the schema or the rows
CONNECT_SECONDS = 10
SEED_SECONDS = 600
LOCK = 0x67737673656564  # one seeder at a time: "gsvseed"

# Rows per table at scale 1.
ROWS = {
    "organisations": 200,
    "users": 4_000,
    "capabilities": 120,
    "agents": 6_000,
    "deployments": 12_000,
    "invocations": 240_000,
    "audit_log": 60_000,
    "invoice_lines": 12_000,
    "artifacts": 250,
    "heartbeats": 3_000,
    "sessions": 5_000,
    "tenant_keys": 600,
    "tickets": 1_500,
    "every_type": 500,
}
MODEL_CARDS = 5  # large objects of 25 to 128 KB
MONTHS = 5  # calendar months that hold invocations: one before the first partition, then one per partition
VERSIONS_PER_AGENT = 4
CAPABILITIES_PER_AGENT = 3

# Of each name that is not simply registry.<name>
QUOTED = {"invoice_lines": '"Billing Data"."Invoice ""Lines"""', "every_type": 'registry."Every Type"'}


class SeedError(SandboxError):
    """The database holds something else than what was to be put there."""


def seed(connection: Mapping[str, object], rows_scale: float = 1.0) -> None:
    """Fills the database behind the psycopg connect kwargs, in one transaction; a second call changes nothing.

    The role must own the database (it makes schemas and trusted extensions); superuser is not needed. About 10 s at scale 1.
    Raises SeedError when the database was seeded by another version or scale, or has a schema `registry` of other making.
    """
    sizes = _sizes(rows_scale)
    kwargs = cast("dict[str, Any]", {"connect_timeout": CONNECT_SECONDS, **connection})
    with psycopg.connect(**kwargs, cursor_factory=psycopg.ClientCursor) as database:
        database.execute(f"set local statement_timeout = '{SEED_SECONDS}s'")
        database.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        if _seeded(database, rows_scale):
            log.info("the dataset is there already")
            return
        database.execute(_script("dataset_schema.sql"))
        database.execute(_script("dataset_rows.sql"), sizes)
        database.execute("insert into registry.seed (version, scale) values (%s, %s)", (VERSION, rows_scale))
    # planners and dashboards see the new sizes at once; an autovacuum in the middle of a test would be noise
    with psycopg.connect(**kwargs, autocommit=True) as database:
        database.execute("vacuum (analyze, skip_locked)")
    log.info("seeded %s rows in %s tables", f"{sum(expected_counts(rows_scale).values()):,}", len(expected_counts(rows_scale)))


def expected_counts(scale: float = 1.0) -> dict[str, int]:
    """{table, quoted as format('%I.%I') does: rows} right after `seed`, for tables, leaf partitions, populated materialised views.

    tenant_keys counts every row, also those that row-level security hides; sessions is unlogged and empty after a restore.
    """
    sizes = _sizes(scale)
    invocations = sizes.pop("invocations")
    counts = {QUOTED.get(name, f"registry.{name}"): size for name, size in sizes.items()}
    for month in range(MONTHS):
        # row i lies in month i mod MONTHS; month 0 is before the first partition
        rows = invocations // MONTHS + (1 if 1 <= month <= invocations % MONTHS else 0)
        counts[f"registry.invocations_2026_{month:02}" if month else "registry.invocations_other"] = rows
    counts |= {"registry.quarantine": 0, "registry.seed": 1}
    counts["registry.usage_by_month"] = sum(counts[name] > 0 for name in counts if name.startswith("registry.invocations_"))
    return counts


def _sizes(scale: float) -> dict[str, int]:
    if not 0 < scale <= 100:
        raise SeedError(f"the scale of the dataset is {scale}, expected a number above 0, up to 100")
    sizes = {name: max(3, round(rows * scale)) for name, rows in ROWS.items()}
    # a pair of agent and capability may not come twice: the three of an agent lie 17 apart
    sizes["capabilities"] = max(60, sizes["capabilities"])
    sizes["model_cards"] = MODEL_CARDS
    sizes["agent_versions"] = sizes["agents"] * VERSIONS_PER_AGENT
    sizes["agent_capabilities"] = sizes["agents"] * CAPABILITIES_PER_AGENT
    return sizes


def _seeded(database: psycopg.Connection[tuple[Any, ...]], scale: float) -> bool:
    found = database.execute("select to_regclass('registry.seed') is not null, to_regnamespace('registry') is not null")
    marked, made = found.fetchone() or (False, False)
    if not marked:
        if made:
            raise SeedError("the database has a schema `registry` that was not seeded here", "use an empty database")
        return False
    row = database.execute("select version, scale from registry.seed").fetchone()
    if row != (VERSION, scale):
        have = f"version {row[0]} at scale {row[1]:g}" if row else "nothing"
        raise SeedError(
            f"the database was seeded with {have}; asked for was version {VERSION} at scale {scale:g}",
            'drop the schemas registry and "Billing Data", or ask for what is there',
        )
    return True


def _script(name: str) -> Any:
    # psycopg wants literal strings as statements; these come from files of this package
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
