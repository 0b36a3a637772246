"""What prove_backup says of a backup of which the store no longer holds what it should: never proven, and why."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from gsv_sandbox.runs import Run
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster import breaking_store as broken
from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, PROOF_SECONDS, ADesk
from gsv_ops_tests.cluster.fault_table import proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import CLUSTER, Outside

pytestmark = pytest.mark.cluster

Break = Callable[[Outside, Paths, Run], AbstractContextManager[object]]


def segment(outside: Outside, backup: Run) -> str:
    """The WAL segment that the proof's target lies in: after the backup, or the base backup itself would be incomplete."""
    said = backup.materialized[BACKUP_ASSET]
    found = outside.value(outside.primary(), f"select pg_walfile_name('{said['fingerprint LSN']}')")
    name = f"{said['timeline']:08X}{found[8:]}"
    assert name > said["end WAL"]
    return name


def swapped(outside: Outside, sandbox: Paths, backup: Run) -> AbstractContextManager[object]:
    files = outside.wal_files()
    name = segment(outside, backup)
    return broken.swapped(files[name], files[max(other for other in files if other < name and len(other) == len(name))])


def base(outside: Outside, backup: Run) -> Path:
    return outside.store / CLUSTER / "base" / str(backup.materialized[BACKUP_ASSET]["backup id"])


DAMAGES: tuple[tuple[str, pytest.MarkDecorator, Break], ...] = (
    ("base-gone", expects(proofs.BASE_EXPIRED), lambda outside, _, backup: broken.aside(base(outside, backup), outside)),
    ("base-cut", expects(proofs.BASE_TRUNCATED), lambda outside, _, backup: broken.cut_short(base(outside, backup) / "data.tar")),
    (
        "wal-gone",
        expects(proofs.WAL_MISSING),
        lambda outside, _, backup: broken.aside(outside.wal_files()[segment(outside, backup)], outside),
    ),
    (
        "wal-cut",
        expects(proofs.WAL_TRUNCATED),
        lambda outside, _, backup: broken.cut_short(outside.wal_files()[segment(outside, backup)]),
    ),
    ("wal-swapped", expects(proofs.WAL_SWAPPED), swapped),
    (
        "wal-timeline",
        expects(proofs.WAL_OTHER_TIMELINE),
        lambda outside, sandbox, backup: broken.of_another_timeline(outside, sandbox, segment(outside, backup), 7),
    ),
)


@pytest.mark.parametrize("damage", [pytest.param(damage, marks=row, id=name) for name, row, damage in DAMAGES])
def test_what_the_store_no_longer_holds_fails_the_proof_with_the_cause(
    row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths, first_backup: Run, damage: Break
) -> None:
    """Within three minutes, where the operator says nothing for eleven."""
    with damage(outside, sandbox, first_backup), row.timed():
        run = a_desk.follow(a_desk.proof(backup=first_backup.materialized[BACKUP_ASSET]["backup"]), PROOF_SECONDS)
    row.judge(run, left_of(outside, run))
    assert not run.checks["restored_rows_are_equal"]["success"]
    assert run.checks["nothing_is_left_of_the_proof"]["success"]
