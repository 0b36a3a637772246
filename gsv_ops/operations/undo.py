"""Undo bundles: the whole manifests of what is about to be deleted, written before it is, as YAML that kubectl puts back without us.

A bundle may hold values of Secrets. So bundles lie in a folder of their own beside the evidence, for their owner only, and go after
`desk.undo_days`; of a bundle, plans and logs hold where it lies and a digest, which a random line in its head keeps from being guessed at.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.operations import manifests
from gsv_ops.operations.operation import OperationFailed
from gsv_ops.operations.plan import Target
from gsv_ops.operations.records import PARTIAL, File, file_of

UNDO_VARIABLE = "GSV_UNDO_ROOT"
FOLDER_MODE, FILE_MODE = 0o700, 0o600
MARK = "# gsv-ops: "
BETWEEN = "\n---\n"


class NoBundle(OperationFailed):
    """What was to be deleted could not be kept first, so it was not deleted; or a bundle is not what was written."""


@dataclass(frozen=True)
class Kept:
    """One object of a bundle: its manifest without what the API server gives, and beside it what it was, by uid, and whose."""

    body: Object
    uid: str
    owners: tuple[Mapping[str, Any], ...]

    @property
    def target(self) -> Target:
        """What would be put back."""
        return Target(self.body["apiVersion"], self.body["kind"], objects.name(self.body), objects.namespace(self.body) or "")


@dataclass(frozen=True)
class Bundle:
    """One file, as it was read: its objects, and the digest of the whole."""

    path: Path
    digest: str
    objects: tuple[Kept, ...]


@dataclass(frozen=True)
class Bundles:
    """The folder of all bundles. `root` is None where there is no such folder, since the evidence lies in an object store."""

    root: Path | None
    lifetime: timedelta

    def write(self, run_id: str, operation: str, bodies: Sequence[Object], now: datetime) -> Path:
        """Keep the objects in the run's next bundle; on disk before the call returns. Raises NoBundle.

        Bodies are as read from the API server, with their kinds.
        """
        root = self._folder()
        number = 1 + max((int(path.stem.rpartition("-")[2]) for path in root.glob(f"{run_id}-*.yaml")), default=0)
        path = root / f"{run_id}-{number:04d}.yaml"
        text = _head(path, run_id, operation, len(bodies), now, now + self.lifetime) + "".join(BETWEEN + _document(body) for body in bodies)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
        try:
            handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
            _sync(root)
        except OSError as problem:
            partial.unlink(missing_ok=True)
            raise NoBundle(
                f"the undo bundle {path} could not be written ({problem.strerror}), so nothing of it was deleted. "
                f"Make room or correct the folder, or name another in {UNDO_VARIABLE}.",
                f"df -h {root}",
            ) from None
        return path

    def of(self, run: str) -> list[Path]:
        """The run's bundles in the order they were written; `run` is its id or the beginning of it."""
        if self.root is None or not self.root.is_dir():
            return []
        return sorted(path for path in self.root.glob("*.yaml") if path.name.startswith(run))

    def runs(self) -> list[str]:
        """The ids of all runs that have bundles."""
        return sorted({path.stem.rpartition("-")[0] for path in self.of("")})

    def sweep(self, now: datetime) -> list[Path]:
        """Remove the bundles that are past their time, and halves that a killed run left; returns which."""
        gone = []
        for file in self.files():
            if now - file.modified > (timedelta(days=1) if file.half else self.lifetime):
                file.path.unlink(missing_ok=True)
                gone.append(Path(str(file.path)))
        return gone

    def files(self) -> list[File]:
        """Every bundle, and the halves that a killed run left."""
        if self.root is None or not self.root.is_dir():
            return []
        found = [file_of(path, path.name) for path in sorted((*self.root.glob("*.yaml"), *self.root.glob(f".*{PARTIAL}")))]
        return [file for file in found if file is not None]

    def file(self, name: str) -> File | None:
        """The bundle of that name, as `files` gives it."""
        return file_of(self.root / name, name) if self.root is not None else None

    def _folder(self) -> Path:
        """The folder, made if need be. Raises NoBundle for one that others may read."""
        if self.root is None:
            raise NoBundle(
                f"the evidence lies in an object store, and undo bundles need a folder for their owner only, so nothing was deleted. "
                f"Set {UNDO_VARIABLE} to one where the code location is started."
            )
        try:
            self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            mode = self.root.stat().st_mode & 0o777
        except OSError as problem:
            raise NoBundle(f"the folder of undo bundles {self.root} cannot be made ({problem.strerror}), so nothing was deleted") from None
        if mode & 0o077:
            raise NoBundle(
                f"the folder of undo bundles {self.root} has mode {mode:04o}, expected 0700: bundles may hold values of Secrets. "
                f"Nothing was deleted.",
                f"chmod 700 {self.root}",
            )
        return self.root


def read(path: Path) -> Bundle:
    """The bundle. Raises NoBundle for a file that is not one."""
    try:
        raw = path.read_bytes()
        kept = [_kept(part) for part in raw.decode().split(BETWEEN)[1:]]
        if not kept:
            raise ValueError("a bundle without an object")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as problem:
        # not quoted: what is wrong may be a value
        raise NoBundle(f"the undo bundle {path} cannot be read ({type(problem).__name__}); nothing was put back from it") from None
    return Bundle(path, hashlib.sha256(raw).hexdigest(), tuple(kept))


def _head(path: Path, run_id: str, operation: str, count: int, now: datetime, expires: datetime) -> str:
    return "\n".join(
        (
            f"# {count} objects that {operation}, run {run_id}, was about to delete at {now:%Y-%m-%d %H:%M:%S %Z}.",
            "# To put back what is missing without the desk (each comes back without its owners; what exists is told and left alone):",
            f"#   kubectl create -f {path}",
            f"# May hold values of Secrets. Removed by the desk after {expires:%Y-%m-%d}. {secrets.token_hex(16)}",
        )
    )


def _document(body: Object) -> str:
    beside = {"uid": objects.uid(body), "owners": objects.at(body, "metadata", "ownerReferences", default=[])}
    bare, said = manifests.bare(body)
    notes = "".join(f"# {line}\n" for line in said)
    return f"{MARK}{json.dumps(beside)}\n{notes}{manifests.dump(bare)}"


def _kept(part: str) -> Kept:
    first, _, _ = part.partition("\n")
    beside, body = json.loads(first.removeprefix(MARK)), manifests.load(part)
    return Kept({**body, "metadata": dict(body["metadata"])}, str(beside["uid"]), tuple(beside["owners"]))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
