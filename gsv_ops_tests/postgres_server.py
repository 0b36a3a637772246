"""A throw-away PostgreSQL server of Debian's package, for tests that ask a real database.

    with server({"archive_mode": "on"}) as superuser:
        with psycopg.connect(**superuser) as connection: ...

One data directory, one unix socket and one port on 127.0.0.1 per server; all gone at the end. When the test run is killed,
the server gets SIGINT and ends too; only the files in its temporary directory stay.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import psycopg

VERSION = "15"
BINARIES = Path(f"/usr/lib/postgresql/{VERSION}/bin")
ACCOUNT = "postgres"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
# wal_level as CloudNativePG sets it; durability is of no use to a server that lives for one test run
PARAMETERS = MappingProxyType(
    {
        "wal_level": "logical",
        "max_wal_senders": "10",
        "max_replication_slots": "10",
        "max_connections": "60",
        "shared_buffers": "64MB",
        "fsync": "off",
        "log_min_messages": "warning",
    }
)
NOTHING: Mapping[str, str] = MappingProxyType({})


class ServerError(RuntimeError):
    """The server could not be made or did not answer; the message carries the end of its log."""


def available() -> bool:
    """Whether the server's programs are installed here."""
    return (BINARIES / "postgres").exists()


def as_postgres(program: str, *arguments: str | Path) -> list[str]:
    """The command line that runs a program of PostgreSQL's (initdb, pg_basebackup ...) as an account that may.

    PostgreSQL refuses to run as root, so root becomes the package's own account; anyone else stays who they are.
    """
    command = [str(BINARIES / program), *map(str, arguments)]
    if os.geteuid() != 0:
        return ["setpriv", "--pdeathsig", "INT", *command]
    return ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups", "--pdeathsig", "INT", *command]


@contextmanager
def server(parameters: Mapping[str, str] = NOTHING) -> Iterator[dict[str, object]]:
    """A running server; yields psycopg connect kwargs of its superuser on its unix socket.

    parameters override PARAMETERS. The socket trusts (any role, no password); 127.0.0.1 at the same port asks for a
    SCRAM password, so that logins can be tested: `{**superuser, "host": "127.0.0.1", "user": "x", "password": "y"}`.
    The superuser's own password is in the kwargs. Raises ServerError with the log's end when it does not come up
    within START_SECONDS.
    """
    top = Path(tempfile.mkdtemp(prefix="gsv-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(top, ACCOUNT, ACCOUNT)
        superuser = initialise(top)
        process = start(top, superuser, {**PARAMETERS, **parameters})
        try:
            yield dict(superuser)
        finally:
            stop(process)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def initialise(top: Path) -> dict[str, object]:
    password = secrets.token_urlsafe(16)
    # the path of a socket may be at most 107 bytes, hence the short directory
    password_file = top / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password + "\n")
    if os.geteuid() == 0:
        shutil.chown(password_file, ACCOUNT, ACCOUNT)
    made = subprocess.run(
        as_postgres(
            "initdb", "--pgdata", top / "data", "--username", ACCOUNT, "--pwfile", password_file, "--no-sync",
            "--encoding", "UTF8", "--locale", "C", "--auth-local", "trust", "--auth-host", "scram-sha-256",
        ),
        cwd=top, capture_output=True, text=True, timeout=START_SECONDS, check=False,
    )  # fmt: skip
    password_file.unlink()
    if made.returncode != 0:
        raise ServerError(f"initdb failed: {(made.stderr or made.stdout).strip()[-2000:]}")
    return {"host": str(top), "port": free_port(), "user": ACCOUNT, "password": password, "dbname": "postgres"}


def start(top: Path, superuser: Mapping[str, object], parameters: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    settings = {
        **parameters,
        "unix_socket_directories": str(top),
        "listen_addresses": "127.0.0.1",
        "port": str(superuser["port"]),
    }
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    log = top / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            as_postgres("postgres", "-D", top / "data", *arguments), cwd=top, stdout=output, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(**superuser, connect_timeout=5).close()  # type: ignore[arg-type]
        except psycopg.OperationalError as error:
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            stop(process)
            end = log.read_text(errors="replace")[-2000:]
            raise ServerError(f"PostgreSQL did not come up: {error}; its log: {end}") from None
        return process


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ends the server: fast shutdown first (SIGINT), then at once (SIGQUIT)."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
