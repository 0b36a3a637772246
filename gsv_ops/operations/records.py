"""What gsv_ops writes down: plans, journals, evidence and whatever an operation must find again, as JSON under one root.

The root is a folder by default and any fsspec location in a cluster. No secret ever enters a record.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upath import UPath

EVIDENCE_VARIABLE = "GSV_EVIDENCE_ROOT"
SUFFIX, PARTIAL = ".json", ".partial"
NEVER = datetime.fromtimestamp(0, UTC)
"""What a store that does not say when a file was written comes to."""
LOCAL = ("", "file", "local")


class DamagedRecord(ValueError):
    """A record is not what was written; the message says which, and what to do with it."""


@dataclass(frozen=True)
class File:
    """One file below a root, by its path from there; when it was last written, and how large it is. `half`: never finished."""

    name: str
    path: UPath | Path
    modified: datetime
    bytes: int

    @property
    def half(self) -> bool:
        return self.name.endswith(PARTIAL)

    @property
    def record(self) -> str:
        """The name of the record in it."""
        return self.name.removesuffix(SUFFIX)

    @property
    def stem(self) -> str:
        """The record's name without its folders."""
        return self.record.rpartition("/")[2]


def file_of(path: UPath | Path, name: str) -> File | None:
    """The file; None where there is none (any more)."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return File(name, path, datetime.fromtimestamp(status.st_mtime, UTC), int(status.st_size))


@dataclass(frozen=True)
class Records:
    """Named JSON records under one root. A record is replaced whole, never edited in place."""

    root: UPath

    def write(self, name: str, body: Mapping[str, Any], *, compact: bool = False) -> UPath:
        """Store `body` as `<root>/<name>.json` and return where it lies; readers see the old record or the new one, never a half.

        `compact`: on one line, which is ten times as fast.
        """
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(body, indent=None if compact else 1, sort_keys=True, default=str)
        if path.protocol in LOCAL:
            # a name of its own: two runs may write one record at the same moment
            partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
            try:
                with partial.open("w") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                partial.rename(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        else:
            path.write_text(text)  # object stores replace an object whole
        return path

    def read(self, name: str) -> dict[str, Any] | None:
        """The record, or None if there is none. Raises DamagedRecord for one that is not a JSON object."""
        path = self.path(name)
        try:
            text = path.read_text()
        except FileNotFoundError:
            return None
        try:
            body = json.loads(text)
        except json.JSONDecodeError as problem:
            raise DamagedRecord(f"record {path} is not valid JSON ({problem.msg} at {problem.pos}); move it away to go on") from None
        if not isinstance(body, dict):
            raise DamagedRecord(f"record {path} holds {type(body).__name__}, expected an object; move it away to go on")
        return body

    def names(self, folder: str) -> list[str]:
        """The names of every record directly under `folder`, sorted; empty if there is no such folder."""
        where = self.root / folder
        if not where.exists():
            return []
        return sorted(f"{folder}/{path.stem}" for path in where.iterdir() if path.suffix == SUFFIX and not path.name.startswith("."))

    def files(self, folder: str) -> list[File]:
        """Every file below `folder`, also those that a killed process left half written."""
        where = self.root / folder
        if not where.exists():
            return []
        found = [path for path in where.rglob("*") if path.name.endswith((SUFFIX, PARTIAL))]
        files = (file_of(path, f"{folder}/{path.relative_to(where).as_posix()}") for path in found)
        return [file for file in files if file is not None]

    def file(self, name: str) -> File | None:
        """The file of that name, as `files` gives it."""
        return file_of(self.root / name, name)

    def path(self, name: str) -> UPath:
        """Where the record lies, whether it exists or not."""
        return self.root / f"{name}{SUFFIX}"
