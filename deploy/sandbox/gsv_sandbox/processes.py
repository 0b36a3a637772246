"""The components as plain detached processes: started once, recognised again by the next `up`, stopped by id only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gsv_sandbox.errors import SandboxError
from gsv_sandbox.state import Paths, boot_id, read_json, write_private

TAIL_LINES = 25
STOP_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Service:
    """One component: its name, its command, and what of its environment differs from ours.

    `configuration` is the text of the files it reads at start: when it changes, `up` starts the component anew.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""

    @property
    def fingerprint(self) -> str:
        """What decides whether a running process is still the one that is wanted; holds no secret in the clear."""
        whole = json.dumps([self.argv, sorted(self.environment.items()), self.configuration])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


class Processes:
    """Starts, finds and stops the sandbox's components. Pid files are in `run`, output goes to `log/<name>.log`.

    `group` is the control group that started processes are put into; without one they stay in ours.
    """

    def __init__(self, paths: Paths, group: Path | None = None) -> None:
        self._paths, self._group = paths, group

    def start(self, service: Service) -> bool:
        """Start `service` unless it already runs just so; True when a process was started."""
        if self.pid(service.name) is not None:
            if self._record(service.name).get("fingerprint") == service.fingerprint:
                return False
            self.stop(service.name)
        log = self.log(service.name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        argv = list(service.argv)
        if self._group is not None:
            # The shell puts itself into the group before it becomes the component: not one fork can get away.
            join = 'echo $$ >"$0" && exec "$@"'
            argv = ["/bin/sh", "-c", join, str(self._group / "cgroup.procs"), *argv]
        with log.open("w") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={**base_environment(), **service.environment},
                start_new_session=True,
            )
        # Nobody here waits for it: it outlives us. Without this Python warns that it is still running.
        process.returncode = 0
        record = {
            "pid": process.pid,
            "started": start_time(process.pid),
            "boot": boot_id(),
            "fingerprint": service.fingerprint,
        }
        write_private(self._pid_file(service.name), json.dumps(record))
        return True

    def pid(self, name: str) -> int | None:
        """The id of the component's living process. A recycled id, a zombie, or another boot's record is None."""
        record = self._record(name)
        pid, started = record.get("pid"), record.get("started")
        if not isinstance(pid, int) or started is None or record.get("boot") != boot_id():
            return None
        return pid if start_time(pid) == started else None

    def names(self) -> list[str]:
        """Every component that has been started and not been stopped, dead or alive."""
        return sorted(file.stem for file in self._paths.run.glob("*.pid"))

    def log(self, name: str) -> Path:
        return self._paths.logs / f"{name}.log"

    def tail(self, name: str, lines: int = TAIL_LINES) -> str:
        """The last lines of the component's log."""
        try:
            return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def stop(self, name: str, grace: float = STOP_GRACE_SECONDS) -> None:
        """End the component's process: first asked, after `grace` seconds killed. Absent is fine."""
        pid = self.pid(name)
        if pid is not None:
            started = start_time(pid)
            for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                if _until(lambda: start_time(pid) != started, patience):
                    break
            else:
                raise SandboxError(f"{name} (pid {pid}) survived SIGKILL", "it hangs in the kernel: see `dmesg`")
        self._pid_file(name).unlink(missing_ok=True)

    def wait_for(self, name: str, what: str, ready: Callable[[], bool], deadline: float) -> None:
        """Wait until `ready()` is true; SandboxError with the log's tail when `name` dies or `deadline` seconds pass."""
        end = time.monotonic() + deadline
        while not ready():
            dead = self.pid(name) is None
            if dead or time.monotonic() > end:
                why = f"{name} ended before it was ready" if dead else f"not ready within {deadline:.0f} s"
                raise SandboxError(
                    f"{what}: {why}. The end of {self.log(name)}:\n{self.tail(name)}",
                    f"`gsv-sandbox logs {name}` shows more; `gsv-sandbox down` then `up` starts from nothing",
                )
            time.sleep(0.1)

    def _pid_file(self, name: str) -> Path:
        return self._paths.run / f"{name}.pid"

    def _record(self, name: str) -> dict[str, object]:
        return read_json(self._pid_file(name))


def base_environment() -> dict[str, str]:
    """The environment every component gets, instead of the caller's.

    A proxy set there would be asked for pods' and Services' addresses, and whatever secrets it holds are no one's business.
    """
    return {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LANG": "C.UTF-8"}


def start_time(pid: int) -> int | None:
    """When the process was started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name is in parentheses and may hold anything, spaces and parentheses too.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _until(condition: Callable[[], bool], deadline: float) -> bool:
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
