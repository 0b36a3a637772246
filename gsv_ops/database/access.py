"""Opens a session to a cluster's primary: the port through the API server, the login from its Secret, TLS against the cluster's own CA.

The way breaks when the API server is restarted or the primary moves; `again` begins anew what broke off, for a while.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from gsv_ops.database.session import DatabaseError, Endpoint, Unreachable
from gsv_ops.kube import errors
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import SECRET
from gsv_ops.operations.operation import Desk, OperationFailed

POSTGRES_PORT = 5432
MOST_TRIES = 6
PAUSE_SECONDS = 5.0
"""Between two tries; all of them outlast a restart of the API server and most failovers."""

T = TypeVar("T")


class WayBroke(OperationFailed):
    """No server answered, or it closed the connection, or no primary is settled: the same may work a moment later."""


BROKE = (WayBroke, Unreachable, errors.Unavailable, errors.StreamFailed)


def again(desk: Desk, what: str, work: Callable[[], T]) -> T:
    """What `work` gives; it is begun anew when the way there broke, and the last such failure raised after MOST_TRIES.

    `work` may be done twice: it reads, or creates through the journal, which adopts what an answer that was lost had made.
    """
    for _ in range(MOST_TRIES - 1):
        try:
            return work()
        except BROKE as problem:
            desk.log(f"{what} broke off and is begun anew in {PAUSE_SECONDS:.0f} s: {problem}")
        desk.sleep(PAUSE_SECONDS)
    return work()


@contextmanager
def endpoint(kube: Kube, namespace: str, pod: str, database: str, login_secret: str, ca_secret: str) -> Iterator[Endpoint]:
    """The database in that pod, reachable on loopback while the context lasts. Raises OperationFailed where no login can be made."""
    login = kube.get(SECRET, login_secret, namespace).get("data") or {}
    missing = [key for key in ("username", "password") if not login.get(key)]
    if missing:
        raise OperationFailed(
            f"Secret {namespace}/{login_secret} lacks {' and '.join(missing)}; expected a kubernetes.io/basic-auth Secret"
        )
    authority = at(kube.get(SECRET, ca_secret, namespace), "data", "ca.crt")
    if not authority:
        raise OperationFailed(f"Secret {namespace}/{ca_secret} has no ca.crt, so the server's identity could not be checked")
    with tempfile.TemporaryDirectory(prefix="gsv-ops-") as folder, kube.open_port(namespace, pod, POSTGRES_PORT) as address:
        certificate = Path(folder) / "ca.crt"  # a certificate is public; libpq only takes it as a file
        certificate.write_bytes(base64.b64decode(authority))
        yield Endpoint(
            host=address.host,
            port=address.port,
            database=database,
            user=base64.b64decode(login["username"]).decode(),
            password=base64.b64decode(login["password"]).decode(),
            sslmode="verify-ca",
            sslrootcert=certificate,
        )


@contextmanager
def failures_of(what: str) -> Iterator[None]:
    """Turn a database's error into a failed operation that says during what it happened."""
    try:
        yield
    except Unreachable as problem:
        raise WayBroke(f"{what}: {problem}") from None
    except DatabaseError as problem:
        raise OperationFailed(f"{what}: {problem}") from None
