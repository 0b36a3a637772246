"""Sessions: their fixed settings, and errors that say what is wrong and never the password."""

import logging
import socket
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gsv_ops.database.session import (
    DatabaseError,
    Endpoint,
    Forbidden,
    LoginRefused,
    QueryFailed,
    TimedOut,
    Unreachable,
    connect,
    meaning,
    milliseconds,
)
from gsv_ops_tests.unit.database.conftest import CANARY, Database

MakeDatabase = Callable[..., Database]


@pytest.fixture
def everything_said(caplog: pytest.LogCaptureFixture) -> Callable[[BaseException], str]:
    """Everything that a failed call leaves behind: its traceback with what it hides, its repr, its attributes, the logs."""
    caplog.set_level(logging.DEBUG)

    def said(error: BaseException) -> str:
        return "\n".join([*traceback.format_exception(error), repr(error), str(vars(error)), str(error.args), caplog.text])

    return said


def over_tcp(made: Database, **changes: object) -> Endpoint:
    return replace(made.endpoint, host="127.0.0.1", **changes)  # type: ignore[arg-type]


def test_a_password_is_not_in_the_repr() -> None:
    endpoint = Endpoint("db", 5432, "app", "gsv_ops", CANARY, sslrootcert=Path("ca.crt"))
    assert CANARY not in repr(endpoint)
    assert CANARY not in str(endpoint)
    assert str(endpoint) == "database app at db:5432 as gsv_ops"


@pytest.mark.postgres
def test_settings_are_fixed_whatever_the_database_and_the_role_ask_for(make_database: MakeDatabase) -> None:
    database = make_database()
    for setting in ("timezone = 'Asia/Kolkata'", "datestyle = 'German'", "search_path = public", "bytea_output = 'escape'",
                    "extra_float_digits = 0", "intervalstyle = 'iso_8601'", "row_security = on", "statement_timeout = 0"):  # fmt: skip
        database.run(f"alter role gsv_ops in database {database.endpoint.database} set {setting}")
    with closing(connect(database.endpoint, statement_timeout=7, lock_timeout=3, idle_in_transaction_timeout=11)) as connection:
        said = {
            name: connection.execute("select current_setting(%s)", [name]).fetchone()[0]  # type: ignore[index]
            for name in ("TimeZone", "search_path", "bytea_output", "extra_float_digits", "row_security", "application_name",
                         "client_encoding", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        }  # fmt: skip
        assert said == {
            "TimeZone": "UTC", "search_path": "pg_catalog", "bytea_output": "hex", "extra_float_digits": "3", "row_security": "off",
            "application_name": "gsv_ops", "client_encoding": "UTF8", "statement_timeout": "7s", "lock_timeout": "3s",
            "idle_in_transaction_session_timeout": "11s",
        }  # fmt: skip
        written = connection.execute("select (timestamptz '2026-01-02 03:04Z', interval '1 day 2 h', 0.1::float8 + 0.2)::text")
        assert written.fetchone() == ('("2026-01-02 03:04:00+00","1 day 02:00:00",0.30000000000000004)',)


@pytest.mark.postgres
def test_a_wrong_password_is_a_refused_login(make_database: MakeDatabase, everything_said: Callable[[BaseException], str]) -> None:
    database = make_database()
    with closing(connect(over_tcp(database))) as connection:  # the right one
        assert connection.execute("select session_user").fetchone() == ("gsv_ops",)
    wrong = CANARY + "-wrong"
    with pytest.raises(LoginRefused, match="password authentication failed") as refused:
        connect(over_tcp(database, password=wrong))
    assert CANARY not in everything_said(refused.value)


@pytest.mark.postgres
@pytest.mark.parametrize("change", [{"user": "nobody"}, {"database": "nothing"}, {"password": ""}])
def test_a_login_that_cannot_be_is_refused(
    make_database: MakeDatabase, change: dict[str, str], everything_said: Callable[[BaseException], str]
) -> None:
    with pytest.raises(LoginRefused) as refused:
        connect(over_tcp(make_database(), **change))
    assert CANARY not in everything_said(refused.value)


def test_a_server_that_is_not_there_is_unreachable(everything_said: Callable[[BaseException], str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(Unreachable, match=r"database app at 127\.0\.0\.1:\d+ as gsv_ops: .*refused") as unreachable:
            connect(Endpoint("127.0.0.1", port, "app", "gsv_ops", CANARY))
    assert CANARY not in everything_said(unreachable.value)


def test_a_server_that_says_nothing_is_unreachable_within_the_timeout(everything_said: Callable[[BaseException], str]) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(1)
        with pytest.raises(Unreachable, match="timeout") as unreachable:
            connect(Endpoint("127.0.0.1", mute.getsockname()[1], "app", "gsv_ops", CANARY), connect_timeout=2)
    assert CANARY not in everything_said(unreachable.value)


def test_a_password_that_a_message_would_quote_is_blotted_out(everything_said: Callable[[BaseException], str]) -> None:
    # the library quotes the setting it could not use
    with pytest.raises(DatabaseError) as failed:
        connect(Endpoint("127.0.0.1", 1, "app", "gsv_ops", CANARY, sslmode=CANARY))
    assert "***" in str(failed.value)
    assert CANARY not in everything_said(failed.value)


@pytest.mark.postgres
def test_a_role_without_replication_is_told_what_it_lacks(make_database: MakeDatabase) -> None:
    database = make_database('create role "Odd""Role" login')
    try:
        with pytest.raises(Forbidden, match="REPLICATION") as refused:
            connect(database.as_role('Odd"Role'), replication=True)
        assert 'ALTER ROLE "Odd""Role" REPLICATION' in refused.value.privilege
    finally:
        database.run('drop role "Odd""Role"')


@pytest.mark.postgres
def test_a_server_s_errors_keep_their_meaning(make_database: MakeDatabase, everything_said: Callable[[BaseException], str]) -> None:
    database = make_database("create table secret (v text)", "insert into secret values ('a row')")
    with closing(connect(database.endpoint, statement_timeout=0.2)) as connection:
        with pytest.raises(TimedOut, match="sleeping: canceling statement due to statement timeout"), meaning("sleeping"):
            connection.execute("select pg_sleep(5)")
        with pytest.raises(Forbidden, match="missing: INSERT on it") as forbidden, meaning("writing", "INSERT on it"):
            connection.execute("insert into public.secret values ('x')")
        with pytest.raises(QueryFailed, match="22012") as failed, meaning("dividing"):
            connection.execute("select 1/0")
    assert (forbidden.value.privilege, failed.value.sqlstate) == ("INSERT on it", "22012")
    assert CANARY not in everything_said(forbidden.value) + everything_said(failed.value)
    assert failed.value.__suppress_context__


@pytest.mark.parametrize("seconds", [0, -1, 10**6, float("nan")])
def test_no_timeout_is_no_timeout(seconds: float) -> None:
    with pytest.raises(ValueError, match="not a timeout"):
        milliseconds(seconds)


def test_a_timeout_is_never_rounded_to_none() -> None:
    assert milliseconds(0.0001) == "1ms"
    assert milliseconds(2.5) == "2500ms"
