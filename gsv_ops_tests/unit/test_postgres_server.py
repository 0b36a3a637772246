"""The throw-away server is what the tests take it for: logical WAL, real passwords, and gone afterwards."""

from pathlib import Path

import psycopg
import pytest

from gsv_ops_tests.postgres_server import ServerError, server

pytestmark = pytest.mark.postgres


def test_it_has_logical_wal_and_checks_passwords_on_loopback(postgres: dict[str, object]) -> None:
    with psycopg.connect(**postgres, autocommit=True) as connection:
        assert connection.execute("show wal_level").fetchone() == ("logical",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**{**postgres, "host": "127.0.0.1", "password": "wrong"})
    psycopg.connect(**{**postgres, "host": "127.0.0.1"}).close()


def test_nothing_of_it_stays(postgres: dict[str, object]) -> None:
    with server({"max_connections": "7"}) as own:
        with psycopg.connect(**own) as connection:
            assert connection.execute("show max_connections").fetchone() == ("7",)
        assert Path(str(own["host"])).exists()
    assert not Path(str(own["host"])).exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**own, connect_timeout=2)


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(ServerError, match="no_such_parameter"), server({"no_such_parameter": "1"}):
        pass
