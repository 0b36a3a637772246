"""A real Alertmanager: what the desk tells it stands there once, ends when it is over, and ends by itself when the desk is silent."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gsv_ops.housekeeping import alerts, tell
from gsv_ops.housekeeping.alerts import Alert, Known
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.platform import spec
from gsv_ops.platform.environments import Binding
from gsv_ops_tests.unit.housekeeping.listening import Listener, listening

pytestmark = pytest.mark.alertmanager

PROGRAM = "prometheus-alertmanager"
KEEP = 4
CONFIGURATION = """
route: {receiver: outside, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: outside, webhook_configs: [{url: "%s", send_resolved: true}]}]
"""


@dataclass
class Alertmanager:
    """A running one; `told` is what it tells the outside."""

    url: str
    told: Listener
    command: list[str]
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.processes.append(subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.log.parent))
        wait(lambda: self._ready(), f"Alertmanager to be ready; its log: {self.log}")

    def stop(self) -> None:
        process = self.processes.pop()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def firing(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:  # noqa: S310  always http
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def wait(until: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    """One of the test's own, on loopback, without any memory of others."""
    program = shutil.which(PROGRAM)
    if program is None:
        message = f"ALERTMANAGER TESTS NOT RUN: no {PROGRAM}; `python -m gsv_sandbox.packages` installs it"
        if os.environ.get("GSV_REQUIRE_CLUSTER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with listening() as outside:
        configuration = tmp_path / "alertmanager.yml"
        configuration.write_text(CONFIGURATION % outside.url)
        command = [
            program,
            f"--config.file={configuration}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        made = Alertmanager(f"http://127.0.0.1:{port}", outside, command, tmp_path / "alertmanager.log")
        made.start()
        try:
            yield made
        finally:
            while made.processes:
                made.stop()


class Desk:
    """A desk that tells, tick by tick, with its memory in a cursor."""

    def __init__(self, alertmanager: str, webhook: str | None) -> None:
        changes = {"alertmanager_url": alertmanager, "webhook_url": webhook, "webhook_token": None, "keep_seconds": KEEP, "post_seconds": 1}
        platform = spec.load()
        told = platform.desk.alerts.model_copy(update=changes)
        platform = platform.model_copy(update={"desk": platform.desk.model_copy(update={"alerts": told})})
        nothing: Any = None
        self.factory = DeskFactory(nothing)
        self.factory.__dict__["binding"] = Binding("test", None, True, platform)
        self.cursor: str | None = None
        self.word = ""

    def tick(self, *firing: Alert) -> Known:
        now = datetime.now(UTC)
        known, self.word, _ = tell.everybody(self.factory, alerts.begun(self.cursor, now, timedelta(minutes=5)), firing, now)
        self.cursor = alerts.cursor(known)
        return known


def failed(operation: str = "backup_database") -> Alert:
    subject = {"environment": "test", "operation": operation}
    link = "http://desk.example/runs/1"
    return Alert("GsvOpsRunFailed", subject, "critical", f"{operation} failed", "no room", "make room", link, datetime.now(UTC))


def test_an_alert_stands_there_once_with_cause_link_and_what_to_do_and_ends_when_it_is_over(alertmanager: Alertmanager) -> None:
    with listening() as hook:
        desk = Desk(alertmanager.url, hook.url)
        for _ in range(3):
            desk.tick(failed())
        (found,) = alertmanager.firing()
        assert found["labels"]["operation"] == "backup_database"
        assert found["annotations"] == {
            "summary": "backup_database failed",
            "description": "no room",
            "what_to_do": "make room",
            "link": "http://desk.example/runs/1",
        }
        assert found["generatorURL"] == "http://desk.example/runs/1"
        assert found["status"]["state"] == "active"
        wait(lambda: alertmanager.told.alerts() == [("firing", "GsvOpsRunFailed")], "Alertmanager to tell the outside")

        desk.tick()
        wait(lambda: ("resolved", "GsvOpsRunFailed") in alertmanager.told.alerts(), "Alertmanager to tell that it is over")
        assert alertmanager.firing() == []
        desk.tick()
        assert hook.alerts() == [("firing", "GsvOpsRunFailed"), ("resolved", "GsvOpsRunFailed")]
        assert desk.word == "nothing is wrong"


def test_what_is_repeated_goes_on_and_what_is_not_ends_by_itself(alertmanager: Alertmanager) -> None:
    desk = Desk(alertmanager.url, None)
    begun = time.monotonic()
    while time.monotonic() < begun + KEEP + 2:
        desk.tick(failed())
        time.sleep(0.5)
    assert len(alertmanager.firing()) == 1
    assert [status for status, _ in alertmanager.told.alerts()] == ["firing"]
    wait(lambda: alertmanager.firing() == [], "an alert that nobody repeats to end")


def test_the_heartbeat_is_silent_while_it_beats_and_its_end_is_noticed_outside(alertmanager: Alertmanager) -> None:
    desk = Desk(alertmanager.url, None)
    for _ in range(4):
        assert "was told that this desk is alive" in tell.heartbeat(desk.factory, datetime.now(UTC))
        time.sleep(KEEP / 3)
    assert [alert["labels"]["alertname"] for alert in alertmanager.firing()] == ["GsvOpsHeartbeat"]
    wait(lambda: ("resolved", "GsvOpsHeartbeat") in alertmanager.told.alerts(), "the outside to hear that the desk is silent")


def test_an_alertmanager_that_was_away_and_forgot_everything_is_told_again(alertmanager: Alertmanager) -> None:
    desk = Desk(alertmanager.url, None)
    desk.tick(failed())
    alertmanager.stop()
    shutil.rmtree(alertmanager.log.parent / "data")

    known = desk.tick(failed(), failed("prove_backup"))
    assert len(known.firing) == 2
    assert desk.word.startswith("backup_database failed; prove_backup failed. NOT TOLD: alertmanager at 127.0.0.1:")

    alertmanager.start()
    desk.tick(failed(), failed("prove_backup"))
    assert {alert["labels"]["operation"] for alert in alertmanager.firing()} == {"backup_database", "prove_backup"}


def test_a_webhook_that_fails_keeps_nothing_from_alertmanager_and_hears_it_later(alertmanager: Alertmanager) -> None:
    with listening() as hook:
        desk = Desk(alertmanager.url, hook.url)
        hook.answers = [500, 500]
        desk.tick(failed())
        assert "NOT TOLD: webhook at 127.0.0.1" in desk.word
        assert "s3cret-path" not in desk.word
        assert len(alertmanager.firing()) == 1
        hook.bodies.clear()
        desk.tick(failed())
        assert hook.alerts() == [("firing", "GsvOpsRunFailed")]
