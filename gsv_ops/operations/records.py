"""What gsv_ops writes down: plans, journals, evidence and whatever an operation must find again, as JSON under one root.

The root is a folder by default and any fsspec location in a cluster. No secret ever enters a record.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from upath import UPath

EVIDENCE_VARIABLE = "GSV_EVIDENCE_ROOT"
LOCAL = ("", "file", "local")


class DamagedRecord(ValueError):
    """A record is not what was written; the message says which, and what to do with it."""


@dataclass(frozen=True)
class Records:
    """Named JSON records under one root. A record is replaced whole, never edited in place."""

    root: UPath

    def write(self, name: str, body: Mapping[str, Any]) -> UPath:
        """Store `body` as `<root>/<name>.json` and return where it lies; readers see the old record or the new one, never a half."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(body, indent=1, sort_keys=True, default=str)
        if path.protocol in LOCAL:
            # a name of its own: two runs may write one record at the same moment
            partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
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
        return sorted(f"{folder}/{path.stem}" for path in where.iterdir() if path.suffix == ".json" and not path.name.startswith("."))

    def path(self, name: str) -> UPath:
        """Where the record lies, whether it exists or not."""
        return self.root / f"{name}.json"
