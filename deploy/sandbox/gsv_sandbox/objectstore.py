"""The S3 store that backups go to: a gateway over a directory, on the bridge's address, with keys of its own."""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path

from gsv_sandbox import addresses as at
from gsv_sandbox.processes import Processes, Service
from gsv_sandbox.state import Paths, read_json, write_private

START_SECONDS = 20.0
NAME = "s3"


@dataclass(frozen=True)
class Keys:
    """The store's only account. The secret is not shown by repr."""

    access: str
    secret: str = field(repr=False)


def up(paths: Paths, binaries: Path, processes: Processes, buckets: set[str]) -> Keys:
    """Start the store with these buckets; the keys to it, made once per sandbox."""
    root = paths.data / "s3"
    for bucket in buckets:
        (root / bucket).mkdir(parents=True, exist_ok=True)
    account = keys(paths)
    # The keys go by the environment: a process's arguments are everyone's to read, its environment is not.
    environment = {"ROOT_ACCESS_KEY": account.access, "ROOT_SECRET_KEY": account.secret}
    argv = (str(binaries / "s3"), "-address", f"{at.NODE_IP}:{at.S3_PORT}", "-root", str(root))
    processes.start(Service(NAME, argv, environment))
    processes.wait_for(NAME, "the object store", _listens, START_SECONDS)
    return account


def keys(paths: Paths) -> Keys:
    """The store's keys, from their file, or made now."""
    file = paths.run / "s3-keys.json"
    found = read_json(file)
    if not found:
        found = {"access": secrets.token_hex(10), "secret": secrets.token_hex(20)}
        write_private(file, json.dumps(found))
    return Keys(str(found["access"]), str(found["secret"]))


def _listens() -> bool:
    try:
        with socket.create_connection((at.NODE_IP, at.S3_PORT), timeout=2):
            return True
    except OSError:
        return False
