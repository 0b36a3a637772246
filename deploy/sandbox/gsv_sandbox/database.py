"""The way to cmp-postgres from the machine: where its primary answers, its owner's login, the dataset, the writer."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from gsv_sandbox import platform
from gsv_sandbox.api import Api
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.processes import Processes, Service
from gsv_sandbox.state import Paths, write_private

WRITER = "writer"
SERVICE = "cmp-postgres-rw"
OWNER_SECRET = "cmp-postgres-app"  # noqa: S105 - a Secret's name
PORT = 5432


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


def seed(api: Api, rows_scale: float = 1.0) -> None:
    """Fill the application's database with the dataset."""
    from gsv_sandbox import dataset

    dataset.seed(login(api).arguments(), rows_scale=rows_scale)


def writer_service(paths: Paths, found: Login) -> Service:
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
    return Service(WRITER, (sys.executable, "-m", "gsv_sandbox.writer"), environment)


def start_writer(paths: Paths, processes: Processes, api: Api) -> bool:
    """Start the writer; False when it runs already."""
    return processes.start(writer_service(paths, login(api)))


def _escaped(password: str) -> str:
    return password.replace("\\", "\\\\").replace(":", "\\:")
