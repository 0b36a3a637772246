"""A database of agent_registry's owner, who is no superuser, empty or seeded."""

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest
from gsv_sandbox import dataset

SMALL = 0.02
numbers = itertools.count(1)

Database = dict[str, object]


@pytest.fixture(scope="session")
def empty_database(postgres: Database) -> Iterator[Callable[[], Database]]:
    """Makes a fresh, empty database; gives its owner's connect kwargs."""
    made = []
    with psycopg.connect(**postgres, autocommit=True) as superuser:
        superuser.execute("create role registry_owner login")

        def make() -> Database:
            name = f"agent_registry_{next(numbers)}"
            superuser.execute(f"create database {name} owner registry_owner")
            made.append(name)
            return {**postgres, "user": "registry_owner", "dbname": name}

        yield make
        for name in made:
            superuser.execute(f"drop database {name} with (force)")
        superuser.execute("drop role registry_owner")


@pytest.fixture(scope="session")
def seeded(empty_database: Callable[[], Database]) -> Database:
    """A small seeded database that tests only read."""
    database = empty_database()
    dataset.seed(database, SMALL)
    return database


@pytest.fixture
def written(empty_database: Callable[[], Database]) -> Database:
    """A small seeded database of the test's own."""
    database = empty_database()
    dataset.seed(database, SMALL)
    return database
