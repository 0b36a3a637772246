"""An operation in Dagster: planned, applied as it was shown or not at all, and told in four lines whatever becomes of it."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest
import yaml

from gsv_ops.kube.errors import Unavailable
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed, Table, Timestamp, Verdict
from gsv_ops.operations.plan import Target
from gsv_ops.platform import spec
from gsv_ops_tests.unit.operations import toy
from gsv_ops_tests.unit.operations.conftest import Toys
from gsv_ops_tests.unit.operations.toy import WORLD

FOUR = ["Changed: ", "Not changed: ", "Run it again: ", "Next: "]


def ending(failure: str) -> list[str]:
    """The last four lines, which every failed run must end with."""
    lines = failure.split("\n")[-4:]
    assert [line[: len(start)] for line, start in zip(lines, FOUR, strict=True)] == FOUR, failure
    return lines


def test_a_plan_is_shown_and_nothing_is_done(toys: Toys) -> None:
    ran = toys.run(toy.make_thing, mode="plan", size=3)
    shown = ran.metadata("plan")
    assert ran.success
    assert WORLD.executed == 0
    assert list(shown)[:2] == ["apply this plan", "plan"]
    assert (shown["actions"], shown["kept"], shown["refused"], shown["environment"], shown["cluster"]) == (1, 0, 0, "sandbox", toy.HERE)
    [row] = shown["what would be done"].records
    assert row.data == {"do": "create", "target": "ConfigMap cmp/thing-{run}", "why": "a red thing"}
    assert toys.evidence() == []
    assert "nothing was changed" in toys.log(ran.run_id)
    run = toys.instance.get_run_by_id(ran.run_id)
    assert run is not None
    assert {key: run.tags[key] for key in ("gsv/mode", "gsv/plan_id", "gsv/environment")} == {
        "gsv/mode": "plan",
        "gsv/plan_id": shown["plan"],
        "gsv/environment": "sandbox",
    }


def test_the_default_is_to_plan(toys: Toys) -> None:
    assert toys.run(toy.make_thing).success
    assert WORLD.executed == 0


def test_the_link_opens_a_launchpad_that_applies_the_plan(toys: Toys) -> None:
    link = urlsplit(str(toys.run(toy.make_thing, mode="plan", size=3).metadata("plan")["apply this plan"]))
    assert link.path == "/locations/gsv_ops/jobs/make_thing/playground/setup"
    config = yaml.safe_load(parse_qs(link.query)["config"][0])
    assert set(config) == {"mode", "plan_id", "size", "label"}
    assert dg.validate_run_config(toy.make_thing(), config)
    ran = toys.run(toy.make_thing, **config)
    assert ran.success
    assert WORLD.executed == 1


def test_the_asset_plans_link_opens_the_asset_jobs_launchpad(toys: Toys) -> None:
    ran = toys.run(toy.plan_paint_thing, label="blue")
    link = urlsplit(str(ran.metadata("plan")["apply this plan"]))
    assert link.path == "/locations/gsv_ops/jobs/paint_thing/playground/setup"
    config = yaml.safe_load(parse_qs(link.query)["config"][0])
    assert dg.validate_run_config(toy.paint_thing(), config)
    assert WORLD.executed == 0
    assert toys.run(toy.paint_thing, **config).success
    assert WORLD.executed == 1


def test_what_is_applied_leaves_evidence(toys: Toys) -> None:
    WORLD.verdict = Verdict("good", "it is there", {"rows": 7, "at": Timestamp(datetime(2026, 1, 1, tzinfo=UTC)), "odd": Table([])})
    ran = toys.run(toy.make_thing, mode="apply", label="blue")
    [record] = toys.evidence()
    assert (record["operation"], record["run_id"], record["job"]) == ("make_thing", ran.run_id, "make_thing")
    assert record["verdict"] == {"status": "good", "word": "good", "reason": "it is there"}
    assert record["plan"]["params"] == {"size": 1, "label": "blue"}
    assert record["outcomes"] == [{"verb": "create", "target": f"ConfigMap cmp/thing-{ran.run_id[:8]}", "result": "done", "detail": ""}]
    assert record["results"]["time"] == 1
    assert WORLD.released == [ran.run_id]


@pytest.mark.parametrize("job", [toy.make_thing, toy.risk_thing])
def test_the_plan_that_was_read_is_applied(toys: Toys, job: object) -> None:
    planned = toys.run(job, mode="plan").metadata("plan")["plan"]  # type: ignore[arg-type]
    assert toys.run(job, mode="apply", plan_id=planned).success  # type: ignore[arg-type]
    assert WORLD.executed == 1


def test_a_plan_whose_ground_moved_is_refused_with_what_moved(toys: Toys) -> None:
    planned = toys.plan(size=2)
    WORLD.colour = "blue"
    ran = toys.run(toy.make_thing, mode="apply", plan_id=planned, size=3)
    assert f"the cluster has moved on since plan {planned} was made; nothing was changed. What moved:\n" in ran.failure
    assert "  parameter size: 2 -> 3\n  fact colour: red -> blue\n  action no longer planned: create ConfigMap" in ran.failure
    assert ending(ran.failure)[0] == "Changed: nothing."
    assert ran.failed_step == "plan"
    assert WORLD.executed == 0


def test_ground_that_moves_between_showing_and_doing_is_found_at_the_write(toys: Toys) -> None:
    planned = toys.plan()
    looks = iter(["red", "blue"])
    WORLD.__class__.colour = property(lambda _: next(looks))  # type: ignore[assignment]
    try:
        ran = toys.run(toy.make_thing, mode="apply", plan_id=planned)
    finally:
        WORLD.__class__.colour = "red"
    assert ran.failed_step == "apply"
    assert "fact colour: red -> blue" in ran.failure
    assert WORLD.executed == 0


class Looks:
    """What the toy's world looks like, look by look; the first takes as long as a run waits for its turn."""

    def __init__(self, seconds: float, *colours: str) -> None:
        self.seconds, self.colours, self.count = seconds, colours, 0

    def __call__(self, _: object) -> str:
        self.count += 1
        if self.count == 1:
            time.sleep(self.seconds)
        return self.colours[min(self.count, len(self.colours)) - 1]


@pytest.mark.parametrize(
    ("looks", "executed", "looked"),
    [(Looks(1.2, "red"), 1, 2), (Looks(1.2, "red", "blue"), 0, 2), (Looks(0.0, "red", "blue"), 1, 1)],
    ids=["waited", "waited-and-moved", "did-not-wait"],
)
def test_what_waited_long_for_its_turn_is_compared_anew_with_the_cluster(
    toys: Toys, looks: Looks, executed: int, looked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = yaml.safe_load(spec.PLATFORM_FILE.read_text())
    body["desk"]["plan_fresh_seconds"] = 1
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump(body))
    monkeypatch.setenv("GSV_PLATFORM_FILE", str(file))
    monkeypatch.setattr(type(WORLD), "colour", property(looks))
    ran = toys.run(toy.make_thing, mode="apply")
    assert (WORLD.executed, looks.count, ran.success) == (executed, looked, bool(executed))
    if not executed:
        assert ran.failure.startswith("the cluster has moved on while this run waited 0 minutes for its turn; nothing was changed.")
        assert "fact colour: red -> blue" in ran.failure
        assert "it plans anew" in ran.failure
        assert ending(ran.failure)[0] == "Changed: nothing."


@pytest.mark.parametrize("plan_id", ["p-000000000000", "../../etc/passwd", "p-../x"])
def test_an_unknown_plan_is_refused(toys: Toys, plan_id: str) -> None:
    ran = toys.run(toy.make_thing, mode="apply", plan_id=plan_id)
    assert f"no plan {plan_id!r} is known here; nothing was changed. Launch make_thing and apply the plan it shows." in ran.failure
    assert WORLD.executed == 0


def stored(toys: Toys, plan_id: str) -> tuple[Path, dict[str, object]]:
    path = toys.root / "plans" / f"{plan_id}.json"
    return path, json.loads(path.read_text())


@pytest.mark.parametrize(("age", "told"), [(timedelta(minutes=61), "61 minutes old"), (timedelta(days=2), "2880 minutes old")])
def test_a_plan_past_its_time_is_refused(toys: Toys, age: timedelta, told: str) -> None:
    planned = toys.plan()
    path, record = stored(toys, planned)
    path.write_text(json.dumps(record | {"made_at": (datetime.now(UTC) - age).isoformat()}))
    ran = toys.run(toy.make_thing, mode="apply", plan_id=planned)
    assert f"plan {planned} is {told}, older than 1:00:00; nothing was changed." in ran.failure
    assert WORLD.executed == 0


def test_a_stored_plan_that_was_tampered_with_is_refused(toys: Toys) -> None:
    planned = toys.plan(size=2)
    path, record = stored(toys, planned)
    record["plan"]["params"]["size"] = 3  # type: ignore[index]
    path.write_text(json.dumps(record))
    ran = toys.run(toy.make_thing, mode="apply", plan_id=planned, size=3)
    assert f"the stored plan says it is {planned} but its content gives p-" in ran.failure
    assert "unexpected" not in ran.failure
    ending(ran.failure)
    assert WORLD.executed == 0


def test_what_needs_a_plan_is_not_applied_without_one(toys: Toys) -> None:
    ran = toys.run(toy.risk_thing, mode="apply")
    assert ran.failure.startswith("risk_thing is only applied by a plan that was read before; expected plan_id. Launch risk_thing")
    assert WORLD.executed == 0


def test_a_refusal_is_shown_and_stops_what_is_applied(toys: Toys) -> None:
    WORLD.refusal = "the cluster is hibernated"
    planned = toys.run(toy.make_thing, mode="plan")
    assert planned.success
    assert "apply this plan" not in planned.metadata("plan")
    assert planned.metadata("plan")["refused"] == 1
    ran = toys.run(toy.make_thing, mode="apply")
    assert "thing-{run}: the cluster is hibernated" in ran.failure
    assert ran.failed_step == "plan"
    assert WORLD.executed == 0


@pytest.mark.parametrize(
    ("job", "environ", "identity", "message"),
    [
        (toy.make_thing, {"GSV_ENVIRONMENT": None}, toy.HERE, "GSV_ENVIRONMENT is not set, so no cluster may be changed"),
        (toy.paint_thing, {"GSV_ENVIRONMENT": "prod"}, toy.HERE, "environment 'prod' is bound to no cluster yet"),
        (toy.make_thing, {}, "another", "this is not the cluster of environment 'sandbox': its kube-system namespace has UID another"),
        (toy.paint_thing, {"GSV_ENVIRONMENT": "stage"}, toy.HERE, "GSV_ENVIRONMENT='stage' is not in platform.yaml"),
    ],
)
def test_the_wrong_cluster_is_never_touched(
    toys: Toys, monkeypatch: pytest.MonkeyPatch, job: object, environ: dict[str, str | None], identity: str, message: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    WORLD.identity = identity
    ran = toys.run(job, **({"mode": "apply"} if job is toy.make_thing else {}))  # type: ignore[arg-type]
    assert ran.failure.startswith(message)
    assert ending(ran.failure)[:2] == ["Changed: nothing.", "Not changed: everything."]
    assert WORLD.executed == 0
    assert not toys.root.exists(), "something was written"


def test_planning_is_allowed_where_nothing_is_bound(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GSV_ENVIRONMENT")
    ran = toys.run(toy.make_thing, mode="plan")
    assert ran.metadata("plan")["environment"] == "none"


def raises(problem: BaseException) -> object:
    def go(*_: object) -> None:
        raise problem

    return go


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (OperationFailed("no room", "kubectl get pvc -n cmp"), "no room"),
        (Unavailable("the API server did not answer"), "the API server did not answer"),
        (RuntimeError("a defect"), "unexpected RuntimeError: a defect"),
    ],
)
def test_whatever_execute_raises_it_is_taken_down_and_told(toys: Toys, problem: Exception, told: str) -> None:
    WORLD.on_execute = raises(problem)  # type: ignore[assignment]
    ran = toys.run(toy.make_thing, mode="apply")
    assert ran.failure.startswith(f"{told}\n")
    assert ending(ran.failure) == [
        f"Changed: made and taken down again: ConfigMap cmp/thing-{ran.run_id[:8]}.",
        "Not changed: everything else.",
        "Run it again: yes; it adopts what it made.",
        f"Next: {getattr(problem, 'next_command', '') or 'read the cause above, mend it, and launch the same run again.'}",
    ]
    assert WORLD.released == [ran.run_id]
    assert toys.evidence()[0]["verdict"] == {"status": "failed", "reason": told}
    assert ("in execute" in toys.log(ran.run_id)) == told.startswith("unexpected"), "a defect is shown with where it came from"


def test_nothing_of_a_clients_exception_goes_along(toys: Toys) -> None:
    def leaky(desk: Desk, journal: Journal) -> None:
        try:
            raise ConnectionError("Authorization: Bearer canary-7f3a")
        except ConnectionError as problem:
            raise RuntimeError("could not be read") from problem

    WORLD.on_execute = leaky
    ran = toys.run(toy.make_thing, mode="apply")
    assert ran.failure.startswith("unexpected RuntimeError: could not be read\n")  # which also looks for causes
    assert "canary-7f3a" not in "".join(entry.to_json() for entry in toys.instance.all_logs(ran.run_id))
    assert "canary-7f3a" not in json.dumps(toys.evidence())


def test_a_release_that_fails_fails_the_run_and_is_found_by_the_next(toys: Toys) -> None:
    WORLD.on_release = raises(OperationFailed("it is still there", "launch the sweeper"))  # type: ignore[assignment]
    first = toys.run(toy.make_thing, mode="apply")
    assert first.failure.startswith("it is still there\n")
    assert first.failed_step == "apply"
    assert ending(first.failure)[3] == "Next: launch the sweeper"
    WORLD.on_release = lambda desk, journal: None
    second = toys.run(toy.make_thing, mode="apply")
    assert second.success
    assert WORLD.released == [first.run_id, first.run_id, second.run_id]
    assert f"run {first.run_id} ended without taking down what it made; doing it now" in toys.log(second.run_id)
    assert toys.run(toy.make_thing, mode="apply").success
    assert WORLD.released.count(first.run_id) == 2


def test_of_two_failures_both_are_told(toys: Toys) -> None:
    WORLD.on_execute = raises(OperationFailed("the restore failed", "look at the restore"))  # type: ignore[assignment]
    WORLD.on_release = raises(OperationFailed("it is still there", "launch the sweeper"))  # type: ignore[assignment]
    ran = toys.run(toy.make_thing, mode="apply")
    assert ran.failure.startswith("the restore failed\nAnd then: it is still there\n")
    assert ending(ran.failure)[3] == "Next: launch the sweeper"


@pytest.mark.parametrize("release_fails", [False, True])
def test_a_cancelled_run_takes_down_what_it_made_and_stays_cancelled(toys: Toys, release_fails: bool) -> None:
    def cancelled(desk: Desk, journal: Journal) -> None:
        run = toys.instance.get_run_by_id(desk.run_id)
        assert run is not None
        toys.instance.report_run_canceling(run)
        raise dg.DagsterExecutionInterruptedError

    WORLD.on_execute = cancelled
    if release_fails:
        WORLD.on_release = raises(OperationFailed("it is still there"))  # type: ignore[assignment]
    toys.run(toy.make_thing, mode="apply")
    [run] = toys.instance.get_runs()
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert WORLD.released == [run.run_id]
    log = toys.log(run.run_id)
    what = (
        f"create ConfigMap cmp/thing-{run.run_id[:8]}"
        if release_fails
        else f"made and taken down again: ConfigMap cmp/thing-{run.run_id[:8]}"
    )
    assert f"cancelled\nChanged: {what}.\n" in log
    assert ("what this run made could not be taken down: it is still there" in log) == release_fails
    assert toys.evidence()[0]["verdict"] == {"status": "cancelled", "reason": "the run was cancelled"}


def test_evidence_that_cannot_be_written_hides_no_failure(toys: Toys) -> None:
    def unwritable(desk: Desk, journal: Journal) -> None:
        (toys.root / "evidence").write_text("a file where the folder should be")
        raise OperationFailed("no room")

    WORLD.on_execute = unwritable
    ran = toys.run(toy.make_thing, mode="apply")
    assert ran.failure.startswith("no room\n")
    assert "the evidence of this failure could not be written: " in toys.log(ran.run_id)


@pytest.mark.parametrize(("status", "word"), [("bad", ""), ("inconclusive", ""), ("bad", "failed")])
def test_what_is_not_so_fails_the_run(toys: Toys, status: str, word: str) -> None:
    WORLD.verdict = Verdict(status, "it is not there", word=word)  # type: ignore[arg-type]
    ran = toys.run(toy.make_thing, mode="apply")
    assert ran.failure.startswith(f"{word or status}: it is not there\n")
    assert ran.failed_step == "verify"
    ending(ran.failure)
    assert toys.evidence()[0]["verdict"] == {"status": status, "word": word or status, "reason": "it is not there"}


def test_a_verification_that_breaks_is_told(toys: Toys) -> None:
    WORLD.on_verify = raises(Unavailable("the API server did not answer"))  # type: ignore[assignment]
    ran = toys.run(toy.make_thing, mode="apply")
    assert ran.failure.startswith("the API server did not answer\n")
    assert ran.failed_step == "verify"
    ending(ran.failure)


def test_earlier_runs_of_an_operation_whose_work_stays_are_left_alone(toys: Toys) -> None:
    from gsv_ops.operations.operation import nothing_to_release
    from gsv_ops.operations.steps import release_ended_runs

    said = list[str]()
    records = toy.factory.records
    left = Journal.open(records, "make_thing", "an-older-run")
    left.will_make(Target("v1", "ConfigMap", "x", "cmp"))
    desk = toy.factory.desk("this-run", said.append, lambda run_id: True)
    release_ended_runs(toy.toy(release=nothing_to_release), desk)
    assert said == []
    release_ended_runs(toy.toy(), desk)
    assert WORLD.released == ["an-older-run"]


def test_runs_that_may_be_going_on_are_not_taken_down(toys: Toys) -> None:
    for run_id in ("unknown-to-dagster", "this-run"):
        Journal.open(toy.factory.records, "make_thing", run_id).will_make(Target("v1", "ConfigMap", "x", "cmp"))
    assert toys.run(toy.make_thing, mode="apply").success
    assert "unknown-to-dagster" not in WORLD.released
