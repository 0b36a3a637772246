"""containerd's images and running containers, through Debian's `ctr`."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from gsv_sandbox.machine import run
from gsv_sandbox.state import read_json, write_private

NAMESPACE = "k8s.io"
IMPORT_SECONDS = 300.0


class Containers:
    """The containerd behind one socket. `record` is the file that says which archive each reference came from."""

    def __init__(self, socket: Path, record: Path) -> None:
        self._record = record
        self._writing = threading.Lock()
        self._ctr = ("ctr", "--address", str(socket), "--namespace", NAMESPACE)

    def answers(self) -> bool:
        return run(*self._ctr[:3], "version", check=False).code == 0

    def images(self) -> set[str]:
        """The references of every image that is there."""
        return set(run(*self._ctr, "images", "list", "--quiet").output.split())

    def load(self, references: dict[str, Path]) -> list[str]:
        """Import the docker archives that are not what the references stand for; the references imported."""
        present, record = self.images(), read_json(self._record)
        wanted = {ref: file for ref, file in references.items() if ref not in present or record.get(ref) != file.name}
        for file in sorted(set(wanted.values())):
            run(*self._ctr, "images", "import", str(file), timeout=IMPORT_SECONDS)
        if wanted:
            with self._writing:
                names = {reference: file.name for reference, file in wanted.items()}
                write_private(self._record, json.dumps({**read_json(self._record), **names}, indent=1))
        return sorted(wanted)
