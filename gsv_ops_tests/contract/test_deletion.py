"""Nothing is deleted that could not be kept first; what moves on is left alone; what is not answered ends the run."""

import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.housekeeping.jobs import UNDO
from gsv_ops.kube import errors
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.operations import deletion, undo
from gsv_ops.operations.deletion import delete_all
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, PlanFrame
from gsv_ops.operations.records import Records
from gsv_ops.operations.undo import Bundles
from gsv_ops.platform import spec
from gsv_ops_tests.contract.bodies import config_map, secret
from gsv_ops_tests.contract.in_process import DeskHere, desk_here
from gsv_ops_tests.contract.tidy import TIDY_JOB, Tidy, found, marked, observe, plan


@pytest.fixture
def desk(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskHere]:
    with desk_here(kube, tmp_path, monkeypatch) as here:
        yield here


def test_a_bundle_that_cannot_be_written_deletes_nothing(kube: Kube, desk: DeskHere, namespace: str) -> None:
    for body in (config_map(namespace, "a"), secret(namespace, "b", password="x")):
        kube.create(marked(body))
    before = found(kube, namespace)
    (desk.root / "undo").write_text("a file in the folder's place")
    ran = desk.run(TIDY_JOB, mode="apply", namespace=namespace)
    assert "nothing was deleted" in desk.failure(ran)
    assert found(kube, namespace) == before


def test_a_folder_that_others_can_read_takes_no_bundle(kube: Kube, desk: DeskHere, namespace: str) -> None:
    kube.create(marked(config_map(namespace, "a")))
    (desk.root / "undo").mkdir(mode=0o755)
    ran = desk.run(TIDY_JOB, mode="apply", namespace=namespace)
    assert "expected 0700" in desk.failure(ran)
    assert set(found(kube, namespace)) == {"a"}


class Killed:
    """A Kube whose process dies at its first deletion."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def delete(self, *_: Any, **__: Any) -> None:
        raise SystemExit("killed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)


def test_killed_between_bundle_and_deletion_leaves_nothing_to_undo(kube: Kube, desk: DeskHere, namespace: str) -> None:
    kube.create(marked(config_map(namespace, "a")))
    assert not desk.run(TIDY_JOB, Killed(kube), mode="apply", namespace=namespace).success  # type: ignore[arg-type]
    (bundle,) = desk.bundles()
    ran = desk.run(UNDO, mode="plan", run=bundle.name[:8])
    assert desk.shown(ran)["actions"] == 0
    assert [row["why"] for row in desk.shown(ran)["what is left alone"]] == ["it was never deleted"]
    assert desk.apply(TIDY_JOB, namespace=namespace)
    assert found(kube, namespace) == {}


def test_many_batches_are_kept_in_as_many_bundles_and_all_come_back(
    kube: Kube, desk: DeskHere, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gsv_ops.operations.deletion.BATCH", 7)
    for number in range(20):
        kube.create(marked(config_map(namespace, f"n-{number:02d}", x=str(number))))
    run_id = desk.apply(TIDY_JOB, namespace=namespace)
    assert [len(undo.read(bundle).objects) for bundle in desk.bundles()] == [7, 7, 6]
    assert found(kube, namespace) == {}
    desk.apply(UNDO, run=run_id)
    assert {name: body["data"] for name, body in found(kube, namespace).items()} == {f"n-{n:02d}": {"x": str(n)} for n in range(20)}


class Touched:
    """A Kube in which another writer touches one object between its reading and its deletion."""

    def __init__(self, kube: Kube, name: str, namespace: str) -> None:
        self._kube, self._name, self._namespace = kube, name, namespace

    def get(self, resource: Any, name: str, namespace: str | None = None) -> Object:
        body = self._kube.get(resource, name, namespace)
        if name == self._name:
            self._kube.patch(resource, name, namespace, {"data": {"touched": "yes"}})
        return body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)


def test_what_changes_in_the_moment_is_left_alone_and_holds_up_no_other(kube: Kube, desk: DeskHere, namespace: str) -> None:
    for name in ("a", "b", "c"):
        kube.create(marked(config_map(namespace, name)))
    ran = desk.run(TIDY_JOB, Touched(kube, "b", namespace), mode="apply", namespace=namespace)  # type: ignore[arg-type]
    said = desk.failure(ran)
    assert f"left alone: ConfigMap {namespace}/b (it changed in the moment of the deletion)" in said
    assert f"Not changed: delete ConfigMap {namespace}/b." in said
    assert set(found(kube, namespace)) == {"b"}


class Silent:
    """A Kube whose deletions of one name are not answered."""

    def __init__(self, kube: Kube, name: str) -> None:
        self._kube, self._name = kube, name

    def delete(self, resource: Any, name: str, namespace: str | None = None, **options: Any) -> None:
        if name == self._name:
            raise errors.Unavailable("the API server gave no answer")
        self._kube.delete(resource, name, namespace, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)


def test_no_answer_ends_the_run_after_the_writes_under_way(
    kube: Kube, desk: DeskHere, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gsv_ops.operations.deletion.BATCH", 2)
    for name in ("a", "b", "c", "d"):
        kube.create(marked(config_map(namespace, name)))
    ran = desk.run(TIDY_JOB, Silent(kube, "a"), mode="apply", namespace=namespace)  # type: ignore[arg-type]
    said = desk.failure(ran)
    assert f"perhaps, no answer came: delete ConfigMap {namespace}/a" in said
    assert set(found(kube, namespace)) == {"a", "c", "d"}, "the next batch was begun"


class Interrupted(BaseException):
    """As Dagster's interruption of a run: no failure of ours."""


class Cancelled:
    """A Kube at whose third deletion the run is cancelled; the others are slow enough to be under way."""

    def __init__(self, kube: Kube, main: int) -> None:
        self._kube, self._main, self.asked = kube, main, list[str]()

    def delete(self, resource: Any, name: str, namespace: str | None = None, **options: Any) -> None:
        self.asked.append(name)
        if len(self.asked) == 3:
            signal.pthread_kill(self._main, signal.SIGUSR1)
        time.sleep(0.3)
        self._kube.delete(resource, name, namespace, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)


def test_a_cancelled_run_ends_what_is_under_way_begins_nothing_and_writes_down_what_was_done(
    kube: Kube, namespace: str, tmp_path: Path
) -> None:
    for number in range(40):
        kube.create(marked(config_map(namespace, f"n-{number:02d}")))

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    cancelled = Cancelled(kube, threading.main_thread().ident or 0)
    records = Records(UPath(tmp_path) / "evidence")
    desk = Desk(
        kube=cast(Kube, cancelled),
        spec=spec.load(None),
        environment="dev",
        cluster_identity="c-1",
        records=records,
        run_id="the-run",
        log=lambda _: None,
        bundles=Bundles(tmp_path / "undo", timedelta(days=1)),
        keeps_undo=True,
    )
    frame = PlanFrame("tidy", "dev", "c-1", {"namespace": namespace})
    planned = plan(desk.spec, observe(desk, Tidy(namespace=namespace)), Tidy(namespace=namespace), frame, desk.now())
    try:
        with pytest.raises(Interrupted):
            delete_all(desk, planned, Journal.open(records, "tidy", "the-run"))
    finally:
        signal.signal(signal.SIGUSR1, before)
    gone = {f"n-{number:02d}" for number in range(40)} - set(found(kube, namespace))
    assert 3 <= len(gone) <= 2 * deletion.WORKERS, "what had not begun was begun"
    assert gone == set(cancelled.asked)
    written = {outcome.target.split("/")[1] for outcome in Journal.open(records, "tidy", "the-run").outcomes if outcome.result == "done"}
    assert written == gone, "the record says otherwise"
