"""The way to cmp-postgres from the machine: where its primary answers, its owner's login, the dataset, the writer."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg

from gsv_sandbox import dataset, platform
from gsv_sandbox.api import Api, wait_until
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.operators import explain_pods
from gsv_sandbox.processes import Processes, Service
from gsv_sandbox.state import Paths, write_private

WRITER = "writer"
SERVICE = "cmp-postgres-rw"
OWNER_SECRET = "cmp-postgres-app"  # noqa: S105 - a Secret's name
PORT = 5432

ANSWER_SECONDS = 180.0
WRITER_RATE = 20.0
# A writer that cannot connect or finds no dataset ends within this time.
WRITER_PROOF_SECONDS = 2.0


@dataclass(frozen=True)
class Login:
    """How the application's own user reaches the primary. The password is not shown by repr."""

    host: str
    database: str
    user: str
    password: str = field(repr=False)

    def arguments(self) -> dict[str, object]:
        """The keyword arguments of psycopg.connect."""
        return {
            "host": self.host,
            "port": PORT,
            "dbname": self.database,
            "user": self.user,
            "password": self.password,
            "connect_timeout": 10,
        }


def login(api: Api) -> Login:
    """The owner's login through the read-write Service, which follows a failover. SandboxError when there is none."""
    service = api.get("v1", "Service", SERVICE, platform.NAMESPACE)
    values = platform.secret_values(api, OWNER_SECRET)
    if service is None or not values:
        raise SandboxError(
            f"cmp-postgres is not there: no Service {SERVICE} or no Secret {OWNER_SECRET} in {platform.NAMESPACE}",
            "run `gsv-sandbox up`",
        )
    return Login(service["spec"]["clusterIP"], values["dbname"], values["username"], values["password"])


def wait_answers(api: Api, deadline: float = ANSWER_SECONDS) -> None:
    """Wait until the primary takes a write-enabled session through its Service: status alone can be a dead pod's."""

    def answers() -> bool:
        try:
            with psycopg.connect(**cast("dict[str, Any]", login(api).arguments())) as connection:
                row = connection.execute("select not pg_is_in_recovery()").fetchone()
        except psycopg.OperationalError:
            return False
        return row == (True,)

    wait_until("the primary of cmp-postgres answering", answers, deadline, lambda: explain_pods(api, platform.NAMESPACE))


def seed(api: Api, rows_scale: float = 1.0) -> None:
    """Fill the application's database with the dataset."""
    dataset.seed(login(api).arguments(), rows_scale=rows_scale)


def writer_service(paths: Paths, found: Login, rate: float) -> Service:
    """The writer as a component like the others. Its password is in a file that only its owner reads."""
    password_file = paths.run / "writer.pgpass"
    write_private(password_file, f"{found.host}:{PORT}:{found.database}:{found.user}:{_escaped(found.password)}\n")
    environment = {
        "PGHOST": found.host,
        "PGPORT": str(PORT),
        "PGDATABASE": found.database,
        "PGUSER": found.user,
        "PGPASSFILE": str(password_file),
        "PYTHONUNBUFFERED": "1",
    }
    ledger = str(paths.data / "writer-commits.txt")
    argv = (sys.executable, "-m", "gsv_sandbox.writer", f"--rate={rate:g}", f"--ledger={ledger}")
    return Service(WRITER, argv, environment)


def start_writer(paths: Paths, processes: Processes, api: Api, rate: float = WRITER_RATE) -> bool:
    """Start the writer at `rate` statements per second; False when it runs already. SandboxError when it ends at once."""
    if processes.pid(WRITER) is not None:
        # Also one at another rate, or of another checkout: whoever counts on it would see it stop and start.
        return False
    started = processes.start(writer_service(paths, login(api), rate))
    end = time.monotonic() + WRITER_PROOF_SECONDS
    while started and time.monotonic() < end:
        if processes.pid(WRITER) is None:
            raise SandboxError(f"the writer ended at once:\n{processes.tail(WRITER)}", "is agent_registry seeded?")
        time.sleep(0.1)
    return started


def _escaped(password: str) -> str:
    return password.replace("\\", "\\\\").replace(":", "\\:")
