"""Opens a session to a cluster's primary: the port through the API server, the login from its Secret, TLS against the cluster's own CA."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gsv_ops.database.session import DatabaseError, Endpoint
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import SECRET
from gsv_ops.operations.operation import OperationFailed

POSTGRES_PORT = 5432


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
    except DatabaseError as problem:
        raise OperationFailed(f"{what}: {problem}") from None
