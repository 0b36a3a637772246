"""Whether a backup counts: a completed one whose WAL is not there does not, and an unreadable store is no answer."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from gsv_ops.database.backup import verify as verifying
from gsv_ops.database.backup.plan import BackupDatabase, BackupSnapshot, plan
from gsv_ops.database.barman_store import BarmanStore, BaseBackup, StoreUnreadable
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.operations.operation import Desk, Verdict
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops.platform.spec import BackupLimits
from gsv_ops_tests.unit.database.a_cluster import DATABASE, FRAME, OBJECT_STORE, backup, cluster

MIB = 2**20
MINE = BaseBackup("id-b", 40 * MIB, "DONE")
SEGMENTS = [f"00000001000000000000000{n}" for n in range(3, 7)]
TAKEN = {
    "record": "fingerprints/cmp-cmp-postgres-agent_registry/u-b",
    "problem": "",
    "lsn": "0/5001000",
    "timeline": 1,
    "system_identifier": "7711367142104133652",
    "tables": 20,
    "rows": 500_000,
    "seconds": 2.5,
    "not_compared": [{"object": "public.scratch", "reason": "unlogged"}],
}
NOT_TAKEN = {"record": "", "problem": "a transaction was open for 900 s"}


@dataclasses.dataclass
class Shelf:
    """An object store's content; `problem` makes it unreadable, `closed` keeps it from being opened."""

    bases: list[BaseBackup]
    there: list[str]
    problem: str = ""
    closed: str = ""

    def base_backups(self) -> list[BaseBackup]:
        if self.problem:
            raise StoreUnreadable(self.problem)
        return self.bases

    def segments(self, names: Collection[str]) -> set[str]:
        return set(self.there) & set(names)


class Read:
    """A Kube that knows one Backup and its Cluster, and where everything else fails."""

    def __init__(self, live: Object) -> None:
        self.live = live

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        assert namespace == "cmp"
        return {"Backup": self.live, "Cluster": cluster()}[resource.kind]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """judged(shelf, taken=TAKEN, live=...): the verdict."""

    def judge(shelf: Shelf, taken: dict[str, Any] = TAKEN, live: Object | None = None) -> Verdict:
        live = live or backup("b")

        def store_of(*_: object) -> BarmanStore:
            if shelf.closed:
                raise StoreUnreadable(shelf.closed)
            return cast(BarmanStore, shelf)

        monkeypatch.setattr(verifying, "store_of", store_of)
        desk = Desk(cast(Kube, Read(live)), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "run", lambda _: None)
        status = backup("b")["status"]
        results = {
            "backup": {"name": "b", "uid": "u-b", **status},
            "instance": "cmp-postgres-2",
            "segment_size": 16 * MIB,
            "last_segment": SEGMENTS[-1] if taken["record"] else SEGMENTS[1],
            "archive_seconds": 1.5,
            "fingerprint": taken,
        }
        snapshot = BackupSnapshot(cluster(), OBJECT_STORE, "", ())
        return verifying.verify(desk, plan(desk.spec, snapshot, BackupDatabase(), FRAME, desk.now()), results)

    return judge


def found(verdict: Verdict) -> dict[str, tuple[bool, str]]:
    return {check.name: (check.passed, check.severity) for check in verdict.checks}


ALL_GOOD = {
    "size_is_plausible": (True, "ERROR"),
    "wal_to_its_end_is_archived": (True, "ERROR"),
    "fingerprint_is_taken": (True, "ERROR"),
}


def test_a_completed_backup_with_all_its_wal_counts(judged: Any) -> None:
    verdict = judged(Shelf([MINE], SEGMENTS))
    assert (verdict.status, verdict.reason) == (
        "good",
        "Backup b is completed and its WAL is in the store; 500000 rows fingerprinted at 0/5001000",
    )
    assert found(verdict) == ALL_GOOD
    assert (verdict.facts["size in bytes"], verdict.facts["duration in seconds"], verdict.facts["rows"]) == (40 * MIB, 2.0, 500_000)
    assert verdict.facts["bytes of WAL from its end to the newest commit"] == 0x5001000 - 0x402E3D0


@pytest.mark.parametrize("gone", range(4))
def test_a_completed_backup_whose_wal_is_not_all_there_does_not_count(judged: Any, gone: int) -> None:
    verdict = judged(Shelf([MINE], [name for name in SEGMENTS if name != SEGMENTS[gone]]))
    assert verdict.status == "bad"
    assert verdict.reason.startswith(
        f"Backup b is completed, and does not count: {SEGMENTS[gone]} of {SEGMENTS[0]} to {SEGMENTS[-1]} are not"
    )
    assert found(verdict) == ALL_GOOD | {"wal_to_its_end_is_archived": (False, "ERROR")}
    assert verdict.checks[1].metadata == {"segments missing": 1}


@pytest.mark.parametrize("shelf", [[], [BaseBackup("id-a", 40 * MIB, "DONE")]])
def test_a_completed_backup_that_the_store_does_not_have_does_not_count(judged: Any, shelf: list[BaseBackup]) -> None:
    verdict = judged(Shelf(shelf, SEGMENTS))
    assert verdict.status == "bad"
    assert "the store has no such base backup" in verdict.reason


@pytest.mark.parametrize("status", ["FAILED", "STARTED", "EMPTY", "no backup.info", "no status"])
def test_a_backup_that_barman_does_not_call_done_does_not_count(judged: Any, status: str) -> None:
    verdict = judged(Shelf([dataclasses.replace(MINE, status=status)], SEGMENTS))
    assert verdict.status == "bad"
    assert f"Barman says the base backup is {status}, expected DONE" in verdict.reason


def test_an_unreadable_store_is_no_answer(judged: Any) -> None:
    verdict = judged(Shelf([MINE], SEGMENTS, "the object store could not be listed"))
    assert (verdict.status, verdict.reason, list(verdict.checks)) == ("inconclusive", "the object store could not be listed", [])


def test_a_store_that_cannot_even_be_opened_is_no_answer(judged: Any) -> None:
    verdict = judged(Shelf([MINE], SEGMENTS, closed="Secret cmp/s3-creds has no key 'ACCESS_KEY_ID'"))
    assert (verdict.status, verdict.reason) == ("inconclusive", "Secret cmp/s3-creds has no key 'ACCESS_KEY_ID'")


def test_a_backup_without_a_fingerprint_counts_and_says_so(judged: Any) -> None:
    verdict = judged(Shelf([MINE], SEGMENTS[:2]), NOT_TAKEN)
    assert (verdict.status, verdict.reason) == (
        "good",
        "Backup b is completed and its WAL is in the store; no fingerprint, so it cannot be proven",
    )
    assert found(verdict) == ALL_GOOD | {"fingerprint_is_taken": (False, "WARN")}
    assert verdict.checks[2].description == "inconclusive: a transaction was open for 900 s"


def test_a_fingerprint_with_something_unread_is_warned_of(judged: Any) -> None:
    verdict = judged(Shelf([MINE], SEGMENTS), TAKEN | {"problem": "not read: public.t: forbidden"})
    assert found(verdict)["fingerprint_is_taken"] == (False, "WARN")


@pytest.mark.parametrize("changes", [{"status__phase": "failed"}, {"metadata__uid": "u-other"}])
def test_a_backup_that_is_not_the_one_any_more_does_not_count(judged: Any, changes: dict[str, Any]) -> None:
    verdict = judged(Shelf([MINE], SEGMENTS), live=backup("b", **changes))
    assert (verdict.status, verdict.reason) == ("bad", "Backup b is no longer the completed one this run made")


SIZES = st.integers(0, 10**12)
BASES = st.builds(
    BaseBackup, st.sampled_from(["id-a", "id-b", "id-c", "id-d"]), SIZES, st.sampled_from(["DONE", "FAILED", "no backup.info"])
)


@settings(max_examples=150, deadline=None)
@given(BASES, st.lists(BASES, max_size=5), SIZES, st.integers(0, 100))
def test_a_size_below_the_floor_never_passes(mine: BaseBackup, others: list[BaseBackup], floor: int, shrink: int) -> None:
    limits = DATABASE.backup.model_copy(update={"floor_bytes": floor, "shrink_percent": shrink})
    check = verifying.size_check(mine, sorted(others, key=lambda base: base.backup_id), limits)
    earlier = [
        base for base in sorted(others, key=lambda base: base.backup_id) if base.status == "DONE" and base.backup_id < mine.backup_id
    ]
    if check.passed:
        assert mine.status == "DONE"
        assert mine.bytes >= floor
        assert not earlier or mine.bytes * 100 >= earlier[-1].bytes * (100 - shrink) - 100
    elif mine.status == "DONE":
        assert mine.bytes < floor or (earlier and mine.bytes * 100 < earlier[-1].bytes * (100 - shrink))


def limits(floor: int = 20, shrink: int = 50) -> BackupLimits:
    return DATABASE.backup.model_copy(update={"floor_bytes": floor * MIB, "shrink_percent": shrink})


@pytest.mark.parametrize(
    ("size", "others", "passed"),
    [
        (20, [], True),
        (19, [], False),
        (40, [("id-a", 80, "DONE")], True),
        (39, [("id-a", 80, "DONE")], False),
        (39, [("id-a", 80, "FAILED")], True),
        (39, [("id-c", 80, "DONE")], True),
        (39, [("id-0", 80, "DONE"), ("id-a", 40, "DONE")], True),
        (15, [("id-a", 20, "DONE")], False),
    ],
    ids=["floor", "below", "half", "less than half", "of a failed one", "of a later one", "the newest counts", "floor still"],
)
def test_sizes(size: int, others: list[tuple[str, int, str]], passed: bool) -> None:
    mine = BaseBackup("id-b", size * MIB, "DONE")
    check = verifying.size_check(mine, [BaseBackup(name, mib * MIB, status) for name, mib, status in others], limits())
    assert check.passed is passed
    assert not verifying.size_check(None, [], limits()).passed
