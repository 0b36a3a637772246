"""What a person watching `up` sees: a line for every step with its time, and a bar while binaries are built."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gsv_sandbox.catalogue import Binary


class Display:
    """Steps and the build's bar on one console. Without a terminal the bar is a line per finished binary."""

    def __init__(self, console: Console, catalogue: tuple[Binary, ...]) -> None:
        self._console, self._begun = console, time.monotonic()
        self._seconds = {binary.name: binary.typical_seconds for binary in catalogue}
        self._shares: dict[str, float] = {}
        self._spent: dict[str, float] = {}
        self._current = ""
        self._lock = threading.Lock()
        self._bar = Progress(
            TextColumn("building {task.fields[name]:<24}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[left]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._shown = False

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            self._bar.stop()

    def say(self, text: str) -> None:
        """One step, with the seconds since the command began."""
        self._console.print(f"[dim]{time.monotonic() - self._begun:6.1f} s[/dim]  ", end="", highlight=False)
        self._console.print(text, highlight=False, markup=False)

    def built(self, name: str, share: float) -> None:
        """How much of one binary is built, 0.0 to 1.0; what the cache holds comes as 1.0 at the very beginning."""
        with self._lock:
            before = self._shares.get(name, 0.0)
            if share >= 1.0 and before == 0.0 and name != self._current:
                # From the cache: nothing was built, nothing is to be shown.
                self._seconds.pop(name, None)
                return
            now = time.monotonic()
            self._spent.setdefault(name, now)
            self._shares[name] = max(before, share)
            self._current = name
            done = share >= 1.0 > before
        self._show(name)
        if done:
            self.say(f"built {name} in {now - self._spent[name]:.0f} s")

    def _show(self, name: str) -> None:
        total = sum(self._seconds.values())
        done = sum(self._seconds[key] * share for key, share in self._shares.items() if key in self._seconds)
        left = remaining(total - done)
        if self._console.is_terminal:
            if self._task is None:
                self._task = self._bar.add_task("build", total=total, name=name, left=left)
                self._bar.start()
                self._shown = True
            self._bar.update(self._task, total=total, completed=done, name=name, left=left)
            if done >= total:
                self._bar.stop()


def remaining(seconds: float) -> str:
    """How long still, as precisely as it is known: `about 4 min left`."""
    if seconds < 1:
        return "done"
    return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"
