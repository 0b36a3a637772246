"""prove_point_in_time: by a seed; and, across a switchover, on each side of it and right after it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.breaking import promote_the_replica
from gsv_ops_tests.cluster.fault_table import restores
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import CLUSTER, Outside, until
from gsv_ops_tests.cluster.restored import moment_scratch_of, standing_still
from gsv_ops_tests.cluster.test_restore import archive_everything

pytestmark = pytest.mark.cluster

PROVE_SECONDS = 240
NOW = "select clock_timestamp()"


def now(outside: Outside) -> datetime:
    """The primary's clock."""
    return datetime.fromisoformat(outside.value(outside.primary(), NOW))


def beats(outside: Outside) -> int:
    """How many heartbeats there are."""
    return int(outside.value(outside.primary(), "select count(*) from public.heartbeat", "gsv_ops"))


def test_a_moment_is_proven_by_a_seed_that_repeats_it(a_desk: ADesk, outside: Outside, first_backup: Run) -> None:
    """Planned, then applied as it was shown; nothing is left."""
    first = a_desk.run("prove_point_in_time", {"seed": 11}).outputs["plan"]
    if first["refused"]:
        # a young sandbox: no heartbeat yet of after its first backup
        before = beats(outside)
        until(lambda: beats(outside) > before + 1, 180, "two heartbeats")
        archive_everything(outside)
        first = a_desk.run("prove_point_in_time", {"seed": 11}).outputs["plan"]
    assert (first["refused"], first["seed"]) == (0, 11)
    config = {"seed": 11, "moment": datetime.fromisoformat(first["moment"]).isoformat()}
    again = a_desk.run("prove_point_in_time", config).outputs["plan"]
    assert again["plan"] == first["plan"]
    run = a_desk.run("prove_point_in_time", {**config, "mode": "apply", "plan_id": first["plan"]}, PROVE_SECONDS)
    said = run.outputs.get("verify", {})
    assert run.status == "SUCCESS", run.failure
    assert (said["verdict"], said["seed"], said["moment, to repeat it"]) == ("proven", 11, config["moment"])
    rows = f"select count(*) from public.heartbeat where at < '{config['moment']}'"
    assert said["heartbeats before it"] in range(1, int(outside.value(outside.primary(), rows, "gsv_ops")) + 1)
    until(lambda: not outside.everything_named(moment_scratch_of(run)), 15, "the last of the scratch cluster to be gone")


@dataclass(frozen=True)
class Sides:
    """Moments around a switchover: before it, right after it, and after the base backup that follows it."""

    before: datetime
    right_after: datetime
    after: datetime
    timeline: int


@pytest.fixture(scope="module")
def sides(a_desk: ADesk, outside: Outside) -> Sides:
    """A window with a base backup on either side of a switchover, and heartbeats on both."""
    assert a_desk.backup().status == "SUCCESS"
    count = beats(outside)
    until(lambda: beats(outside) > count, 90, "a heartbeat after the backup")
    before = now(outside)
    promote_the_replica(outside)
    right_after = now(outside)
    backup = a_desk.backup()
    assert backup.status == "SUCCESS", backup.failure
    count = beats(outside)
    until(lambda: beats(outside) > count, 90, "a heartbeat after the second backup")
    after = now(outside) + timedelta(milliseconds=200)
    archive_everything(outside)
    timeline = int(outside.value(outside.primary(), "select timeline_id from pg_control_checkpoint()"))
    until(outside.healthy, 180, f"{CLUSTER} to be whole again")
    return Sides(before, right_after, after, timeline)


@pytest.mark.parametrize(
    ("side", "base"),
    [
        pytest.param("before", -1, marks=expects(restores.MOMENT_BEFORE_SWITCHOVER)),
        pytest.param("right_after", -1, marks=expects(restores.MOMENT_AFTER_SWITCHOVER)),
        pytest.param("after", 0, marks=expects(restores.MOMENT_AFTER_NEXT_BACKUP)),
    ],
)
def test_on_each_side_of_a_switchover_nothing_is_missing_and_nothing_too_much(
    row: Row, a_desk: ADesk, outside: Outside, sides: Sides, side: str, base: int
) -> None:
    """By the desk's own verdict, and by psql's count of the writer's commits while its worker stands still."""
    moment: datetime = getattr(sides, side)
    run = a_desk.launch("prove_point_in_time", {"moment": moment.isoformat(), "mode": "apply"})
    with row.timed(), standing_still(a_desk, outside, run, moment_scratch_of(run)) as pod:
        late = outside.value(pod, f"select count(*) from gsv_writer.commits where at > '{moment.isoformat()}'")
        surely = f"select count(*) || '|' || max(number) from gsv_writer.commits where at < '{(moment - timedelta(seconds=1)).isoformat()}'"
        restored, source = (outside.value(where, surely).split("|") for where in (pod, outside.primary()))
    with row.timed():
        a_desk.follow(run, PROVE_SECONDS)
    row.judge(run, left_of(outside, run))
    said = run.outputs["verify"]
    assert (said["verdict"], said["timeline"], said["base backup's timeline"]) == ("proven", sides.timeline, sides.timeline + base)
    assert late == "0"
    # the writer trims its oldest rows as it goes: what the source has must be there
    assert (int(restored[0]) >= int(source[0]), restored[1]) == (True, source[1])
