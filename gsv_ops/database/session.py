"""A PostgreSQL session whose settings, deadlines and errors are the same wherever it is opened.

Every setting that changes how a value or a definition is written as text is fixed when the session starts, so that two servers with other
defaults write the same row alike. Errors say what they mean (unreachable, login refused, forbidden, timed out) and never carry the
library's own exception, which would take connection strings and server details into tracebacks and event logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]

# What a value looks like as text must depend on the value only. Each of these changes some type's output, or a definition's.
TEXT_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,YMD",
    "IntervalStyle": "postgres",
    # From PostgreSQL 12 on, 1 and more all give the shortest text that reads back as the same bits; 3 is also exact before 12.
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    # Names in definitions are written with their schema, and no operator or function of a user's is picked up by accident.
    "search_path": "pg_catalog",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
}
SESSION_SETTINGS = {
    # A policy that would hide rows becomes an error instead of a short answer.
    "row_security": "off",
    "jit": "off",
    # A server notices within seconds that the client is gone, also in the middle of a long query, and lets its snapshot go.
    "client_connection_check_interval": "10s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
LOGIN_REFUSED = ("password authentication failed", "authentication failed", "no pg_hba.conf entry", "is not permitted to log in",
                 "no password supplied", "pg_hba.conf rejects", "certificate authentication failed")  # fmt: skip
OLDEST_SERVER = 140000


class DatabaseError(Exception):
    """Something that was asked of a database did not happen; the subclass says why."""


class Unreachable(DatabaseError):
    """No server answered, or it closed the connection: it is down, starting, full, or the way to it is shut."""


class LoginRefused(DatabaseError):
    """The server answered and did not let this role into this database."""


class Forbidden(DatabaseError):
    """The role may not do this; `privilege` is what it lacks, as the SQL that grants it where there is one."""

    def __init__(self, message: str, privilege: str) -> None:
        super().__init__(f"{message}; missing: {privilege}")
        self.privilege = privilege


class TimedOut(DatabaseError):
    """A deadline passed: a statement ran, or waited for a lock, longer than it was allowed to."""


class QueryFailed(DatabaseError):
    """The server refused a statement for a reason of its own; `sqlstate` is PostgreSQL's code for it."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(f"{message} (SQLSTATE {sqlstate or 'unknown'})")
        self.sqlstate = sqlstate


@dataclass(frozen=True)
class Endpoint:
    """Where one database is and who asks it. The password is never part of its repr."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    sslmode: str = "require"
    sslrootcert: Path | None = None

    def __str__(self) -> str:
        return f"database {self.database} at {self.host}:{self.port} as {self.user}"


def connect(
    endpoint: Endpoint,
    *,
    replication: bool = False,
    application_name: str = "gsv_ops",
    connect_timeout: float = 10,
    statement_timeout: float = 60,
    lock_timeout: float = 10,
    idle_in_transaction_timeout: float = 60,
) -> Connection:
    """An autocommit connection with the fixed settings; times in seconds, and none of them can be switched off.

    replication: a logical replication connection to the same database (it speaks only the replication commands and simple queries).
    Raises Unreachable, LoginRefused, Forbidden or TimedOut.
    """
    timeouts = {
        "statement_timeout": milliseconds(statement_timeout),
        "lock_timeout": milliseconds(lock_timeout),
        "idle_in_transaction_session_timeout": milliseconds(idle_in_transaction_timeout),
    }
    settings = {**TEXT_SETTINGS, **SESSION_SETTINGS, **timeouts}
    try:
        connection = psycopg.connect(
            host=endpoint.host,
            port=endpoint.port,
            dbname=endpoint.database,
            user=endpoint.user,
            password=endpoint.password or None,
            sslmode=endpoint.sslmode,
            sslrootcert=str(endpoint.sslrootcert) if endpoint.sslrootcert else None,
            connect_timeout=max(2, round(connect_timeout)),  # libpq takes 1 as 2
            # The way to the server may vanish while we wait for an answer.
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            application_name=application_name,
            client_encoding="UTF8",
            options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
            replication="database" if replication else None,
            autocommit=True,
        )
    except psycopg.Error as error:
        raise _why_not_connected(endpoint, error) from None
    if connection.info.server_version < OLDEST_SERVER:
        version = connection.info.server_version
        connection.close()
        raise QueryFailed(f"{endpoint} is PostgreSQL {version // 10000}; expected {OLDEST_SERVER // 10000} or newer", None)
    return connection


@contextmanager
def meaning(what: str, privilege: str = "a privilege that the message names") -> Iterator[None]:
    """Within it, the library's errors become ours: "<what>: <the server's own sentence>". privilege: what a refusal would lack."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None and not isinstance(error, psycopg.OperationalError):
            raise QueryFailed(f"{what}: {_one_line(error)}", None) from None
        raise translate(error.sqlstate, error.diag.message_primary or _one_line(error), what, privilege) from None


def translate(sqlstate: str | None, message: str, what: str, privilege: str) -> DatabaseError:
    """The error of ours that a PostgreSQL error code stands for. DETAIL and HINT are left out: they can quote rows."""
    text = f"{what}: {message}"
    if sqlstate is None or (sqlstate[:2] in ("08", "57") and sqlstate != "57014") or sqlstate == "53300":
        return Unreachable(text)
    if sqlstate[:2] == "28":
        return LoginRefused(text)
    if sqlstate == "42501":
        return Forbidden(text, privilege)
    if sqlstate in ("57014", "55P03", "25P03"):
        return TimedOut(text)
    return QueryFailed(text, sqlstate)


def import_snapshot(connection: Connection, snapshot: str) -> None:
    """Makes the transaction just begun see exactly what the exported snapshot sees, and nothing it could change."""
    connection.execute("set transaction isolation level repeatable read, read only")
    connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))


def milliseconds(seconds: float) -> str:
    """A timeout as PostgreSQL takes it; at least 1 ms, since 0 would mean none."""
    if not 0 < seconds < 10**6:
        raise ValueError(f"not a timeout: {seconds} s; expected more than 0 and less than a million")
    return f"{max(1, round(seconds * 1000))}ms"


def _why_not_connected(endpoint: Endpoint, error: psycopg.Error) -> DatabaseError:
    # A refused login comes without a code from the library, so its sentence has to do; what is not recognised is Unreachable.
    sentence = _one_line(error)
    if endpoint.password:
        sentence = sentence.replace(endpoint.password, "***")
    text = f"{endpoint}: {sentence}"
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return Unreachable(f"{endpoint}: no answer within the connect timeout")
    if "replication role" in sentence or "permission denied to start WAL sender" in sentence:
        return Forbidden(text, f"the REPLICATION attribute (ALTER ROLE {_quoted(endpoint.user)} REPLICATION)")
    if "permission denied for database" in sentence:
        return Forbidden(text, f"GRANT CONNECT ON DATABASE {_quoted(endpoint.database)} TO {_quoted(endpoint.user)}")
    if any(words in sentence for words in LOGIN_REFUSED) or ("does not exist" in sentence and "FATAL" in sentence):
        return LoginRefused(text)
    return Unreachable(text)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
