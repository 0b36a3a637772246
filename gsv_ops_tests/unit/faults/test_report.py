"""docs/faults.md shows every row: as expected, wrong, from another session, or not run."""

from gsv_ops_tests.cluster.fault_table.report import AS_EXPECTED, Result, Session, from_json, markdown, to_json
from gsv_ops_tests.cluster.fault_table.row import Fault

DOWN = Fault("the store is down", "stopped", within=150, says=("10.88.0.1:9300", "a|b"), left=("Backup",))
FULL = Fault("the volume is full", "inconclusive", within=60)
CUT = Fault("a tar is cut", "failed", within=90)
NEVER = Fault("never tried", "failed", within=90)
SESSION = Session("2026-11-27 07:00 UTC", "e3aa338", 2, {"Kubernetes": "v1.36.3"})
RESULTS = {
    DOWN.fault: Result(AS_EXPECTED, 61.4, ("Backup",), SESSION.name),
    FULL.fault: Result("the verdict is failed,\nexpected inconclusive", 12.0, ("scratch cluster",), SESSION.name),
    CUT.fault: Result(AS_EXPECTED, 30.0, (), "2026-11-26 07:00 UTC, abc1234"),
}


def test_each_row_says_what_became_of_it() -> None:
    text = markdown({"backup_database": [DOWN], "prove_backup": [FULL, CUT, NEVER]}, RESULTS, SESSION)
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| Fault")]
    assert rows == [
        "| the store is down | stopped | `10.88.0.1:9300` … `a\\|b` | 150 | 61 | Backup | as expected |",
        "| the volume is full | inconclusive |  | 60 | 12 | nothing (was: scratch cluster) "
        "| the verdict is failed, expected inconclusive |",
        "| a tar is cut | failed |  | 90 | 30 | nothing | not run; as expected at 2026-11-26 07:00 UTC, abc1234 |",
        "| never tried | failed |  | 90 |  | nothing | not run |",
    ]
    assert "2026-11-27 07:00 UTC, revision e3aa338, 2 cores; Kubernetes v1.36.3." in text
    assert "4 rows: 2 run then, 1 of them as expected, 2 not run then." in text


def test_a_result_is_kept_between_sessions_as_it_was() -> None:
    for result in RESULTS.values():
        assert from_json(to_json(result)) == result
