"""A backup and a proof while what they stand on is restarted: they go on, and what they say at the end is true."""

import pytest
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster import moments
from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, BACKUP_NODE, PROOF_ASSET, PROOF_SECONDS, ADesk, asset_config
from gsv_ops_tests.cluster.breaking import delete_unended, kill_the_primary, operator_works, restart_the_api_server, restart_the_operator
from gsv_ops_tests.cluster.fault_table import backups, proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.moments import Moment
from gsv_ops_tests.cluster.outside import Outside

pytestmark = pytest.mark.cluster

AWAY_SECONDS = 8.0
"""An API server is longer away than its clients' own retries last."""


def at(moment: Moment, row: pytest.MarkDecorator) -> object:
    """A moment as a test's parameter, with its row."""
    return pytest.param(moment, marks=row, id=moment.__name__)


@pytest.mark.parametrize(
    "moment",
    [
        at(moments.worker_begun, expects(backups.OPERATOR_BEFORE)),
        at(moments.backup_asked, expects(backups.OPERATOR_ASKED)),
        at(moments.backup_copying, expects(backups.OPERATOR_COPYING)),
        at(moments.backup_completed, expects(backups.OPERATOR_COMPLETED)),
    ],
)
def test_a_backup_goes_on_when_the_operator_is_restarted(row: Row, a_desk: ADesk, outside: Outside, moment: Moment) -> None:
    try:
        with row.timed():
            run = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
            moment(a_desk, outside, run)
            restart_the_operator(outside)
            a_desk.follow(run)
    finally:
        operator_works(outside)
    row.judge(run, left_of(outside, run))
    assert run.materialized[BACKUP_ASSET]["rows"] > 300_000


@expects(backups.API_COPYING)
def test_a_backup_that_will_never_end_is_told_and_named(row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths) -> None:
    """It would hold up every later one."""
    try:
        with row.timed():
            run = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
            moments.backup_copying(a_desk, outside, run)
            restart_the_api_server(outside, sandbox, AWAY_SECONDS)
            a_desk.follow(run)
        operator_works(outside)
        row.judge(run, left_of(outside, run))
    finally:
        delete_unended(outside)
        operator_works(outside)


@expects(backups.API_COMPLETED)
def test_a_backup_goes_on_when_the_api_server_is_restarted(row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths) -> None:
    try:
        with row.timed():
            run = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
            moments.backup_completed(a_desk, outside, run)
            restart_the_api_server(outside, sandbox, AWAY_SECONDS)
            a_desk.follow(run)
    finally:
        operator_works(outside)
    row.judge(run, left_of(outside, run))
    assert run.materialized[BACKUP_ASSET]["rows"] > 300_000


@expects(backups.PRIMARY_KILLED)
def test_a_backup_whose_primary_is_killed_is_not_good(row: Row, a_desk: ADesk, outside: Outside) -> None:
    try:
        with row.timed():
            run = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
            moments.backup_copying(a_desk, outside, run)
            kill_the_primary(outside)
            a_desk.follow(run)
        operator_works(outside)
        row.judge(run, left_of(outside, run))
    finally:
        delete_unended(outside)
        operator_works(outside)


@pytest.mark.parametrize(
    "moment",
    [
        at(moments.worker_begun, expects(proofs.OPERATOR_BEFORE)),
        at(moments.scratch_asked, expects(proofs.OPERATOR_ASKED)),
        at(moments.scratch_recovering, expects(proofs.OPERATOR_RECOVERING)),
        at(moments.scratch_starting, expects(proofs.OPERATOR_STARTING)),
        at(moments.scratch_read, expects(proofs.OPERATOR_READING)),
    ],
)
def test_a_proof_goes_on_when_the_operator_is_restarted(
    row: Row, a_desk: ADesk, outside: Outside, backup_name: str, moment: Moment
) -> None:
    try:
        with row.timed():
            run = a_desk.proof(backup=backup_name)
            moment(a_desk, outside, run)
            restart_the_operator(outside)
            a_desk.follow(run, PROOF_SECONDS)
    finally:
        operator_works(outside)
    row.judge(run, left_of(outside, run))
    assert run.materialized[PROOF_ASSET]["rows"] > 300_000


@pytest.mark.parametrize(
    "moment",
    [
        at(moments.scratch_recovering, expects(proofs.API_RECOVERING)),
        at(moments.scratch_read, expects(proofs.API_READING)),
    ],
)
def test_a_proof_goes_on_when_the_api_server_is_restarted(
    row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths, backup_name: str, moment: Moment
) -> None:
    try:
        with row.timed():
            run = a_desk.proof(backup=backup_name)
            moment(a_desk, outside, run)
            restart_the_api_server(outside, sandbox, AWAY_SECONDS)
            a_desk.follow(run, PROOF_SECONDS)
    finally:
        operator_works(outside)
    row.judge(run, left_of(outside, run))
    assert run.materialized[PROOF_ASSET]["rows"] > 300_000
