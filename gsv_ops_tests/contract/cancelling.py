"""A Kube at which a run is cancelled in one moment of it, as the button in the UI does: by an interruption of the run's main thread."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NoReturn

import dagster as dg

from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import NAMESPACE

Moment = Literal["plan", "apply, before it writes", "in the first write", "verify"]
MOMENTS: tuple[Moment, ...] = ("plan", "apply, before it writes", "in the first write", "verify")
WRITES = ("create", "patch", "delete", "apply")


class Cancelling:
    """A Kube that cancels the run at that moment, once; without one it only counts.

    `looks`: how often a plan looks; the next look is apply's. `writes`: how many a whole run does; the first look after them is verify's.
    """

    def __init__(self, kube: Kube, instance: dg.DagsterInstance, moment: Moment | None = None, looks: int = 0, writes: int = 0) -> None:
        self._kube, self._instance, self._moment, self._plan, self._writes = kube, instance, moment, looks, writes
        self._lock = threading.Lock()
        self.looks, self.done, self.cancelled = 0, 0, False

    def get(self, resource: Any, *arguments: Any, **options: Any) -> Any:
        # which cluster this is, every step asks first
        if resource != NAMESPACE:
            self._look()
        return self._kube.get(resource, *arguments, **options)

    def list(self, resource: Any, *arguments: Any, **options: Any) -> Any:
        self._look()
        return self._kube.list(resource, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        do = getattr(self._kube, name)
        return (lambda *arguments, **options: self._write(do, *arguments, **options)) if name in WRITES else do

    def _look(self) -> None:
        self.looks += 1
        moments = {
            "plan": True,
            "apply, before it writes": self.looks > self._plan,
            "verify": self.done >= self._writes,
        }
        if self._moment and moments.get(self._moment):
            self._cancel()

    def _write(self, do: Any, *arguments: Any, **options: Any) -> Any:
        if self._moment == "in the first write":
            # the request is on its way; its answer comes when nobody waits for it any more
            self._cancel(after=lambda: do(*arguments, **options))
        answer = do(*arguments, **options)
        with self._lock:
            self.done += 1
        return answer

    def _cancel(self, after: Any = None) -> None:
        with self._lock:
            if self.cancelled:
                return
            self.cancelled = True
        for run in self._instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]), limit=1):
            self._instance.report_run_canceling(run)
        if after is not None:
            after()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        time.sleep(0.1)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, SIGUSR1 is to the run what Dagster makes of a cancellation."""

    def interrupt(*_: object) -> NoReturn:
        raise dg.DagsterExecutionInterruptedError

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
