"""Looks at the desk's processes again and again, for a password in their arguments or environment."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

EVERY_SECONDS = 0.5


class Watch:
    """All processes whose environment names this DAGSTER_HOME: the webserver, the daemon, code servers, runs and their steps."""

    def __init__(self, home: Path, secrets: dict[str, str]) -> None:
        self.secrets = secrets
        self.begun = time.time()
        self.found: set[str] = set()
        self._mark = f"DAGSTER_HOME={home}".encode()
        self._pids: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(10)

    @property
    def processes_seen(self) -> int:
        """How many different processes were looked at."""
        return len(self._pids)

    def look(self) -> set[str]:
        """Which passwords are in which process's arguments or environment, now."""
        seen = set()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment = (process / "environ").read_bytes()
                if self._mark not in environment.split(b"\0"):
                    continue
                arguments = (process / "cmdline").read_bytes()
                self._pids.add(process.name)
                for name, secret in self.secrets.items():
                    for what, text in (("arguments", arguments), ("environment", environment)):
                        if secret.encode() in text:
                            seen.add(f"{name} in the {what} of {arguments.replace(secret.encode(), b'***')[:200]!r}")
        return seen

    def _run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self.found |= self.look()
