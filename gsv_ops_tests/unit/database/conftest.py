"""Real databases for the tests of this room, and the role that asks them: with what production gives it and no more."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import psycopg
import pytest

from gsv_ops.database.session import Endpoint
from gsv_ops_tests import postgres_server

CANARY = "canary-7f3a-password"
DESK_ROLE = (
    f"create role gsv_ops login replication bypassrls password '{CANARY}'",
    "grant pg_read_all_data, pg_monitor to gsv_ops",
)
NUMBERS = count(1)


@dataclass(frozen=True)
class Database:
    """One database of the test's own: `run` as its superuser, `endpoint` as the desk."""

    superuser: dict[str, object]
    endpoint: Endpoint

    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(**self.superuser, autocommit=True)  # type: ignore[arg-type]

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """The last statement's rows."""
        with self.connect() as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def as_role(self, user: str, password: str = "") -> Endpoint:
        return replace(self.endpoint, user=user, password=password)


def desk(superuser: dict[str, object], name: str) -> Database:
    """The database as both see it."""
    endpoint = Endpoint(str(superuser["host"]), int(str(superuser["port"])), name, "gsv_ops", CANARY, sslmode="disable")
    return Database({**superuser, "dbname": name}, endpoint)


@pytest.fixture(scope="session")
def database_server() -> Iterator[dict[str, object]]:
    """A server of this room's own: waiting for "every open transaction" must not meet another test's."""
    if not postgres_server.available():
        message = f"no PostgreSQL server programs here: apt-get install postgresql-{postgres_server.VERSION}"
        if os.environ.get("GSV_REQUIRE_CLUSTER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with postgres_server.server({"max_prepared_transactions": "5"}) as superuser:
        desk(superuser, "postgres").run(*DESK_ROLE)
        yield superuser


@pytest.fixture
def make_database(database_server: dict[str, object]) -> Iterator[Callable[..., Database]]:
    """make_database(options="", *statements): a new database, dropped at the end."""
    made: list[str] = []
    postgres = desk(database_server, "postgres")

    def make(*statements: str, options: str = "") -> Database:
        name = f"database_{next(NUMBERS)}"
        postgres.run(f"create database {name} template template0 {options}")
        made.append(name)
        database = desk(database_server, name)
        if statements:
            database.run(*statements)
        return database

    yield make
    for name in made:
        postgres.run(f"drop database {name} with (force)")
