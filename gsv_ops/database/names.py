"""How the jobs, schedules and sensors of each database of platform.yaml are called."""

from __future__ import annotations

from urllib.parse import quote

from gsv_ops.platform.spec import Database

MAIN = "cmp_postgres"
"""The operator guide's database, whose jobs have the plain names. It is named here so that no order in platform.yaml can make
`backup_database` mean another."""

DATABASE_TAG = "gsv/database"


def named(what: str, database: str) -> str:
    """`backup_database` for the operator guide's database, `backup_database_other` for the database `other`."""
    return what if database == MAIN else f"{what}_{database}"


def folder(database: Database) -> str:
    """Where the records of one database lie: what is known of one says nothing of another in the same Cluster."""
    return f"{database.namespace}-{database.cluster}-{quote(database.database, safe='')}"
