"""A backup whose base is gone from the store is none, and is told before a restore is begun; WAL that a failed restore lacked is named."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database.barman_store import BaseBackup, StoreUnreadable
from gsv_ops.database.proof import execute as proving
from gsv_ops.database.proof import in_store
from gsv_ops.kube import errors
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import DATABASE, cluster
from gsv_ops_tests.unit.database.test_proof_plan import planned

SEGMENTS = {f"00000001000000000000000{n}" for n in (3, 4)} | {"000000020000000000000005"}
OTHER = BaseBackup("id-old", 5, "DONE")


class Store:
    def __init__(self, *bases: BaseBackup, segments: Collection[str] = SEGMENTS) -> None:
        self.bases, self.there = bases, set(segments)

    def base_backups(self) -> list[BaseBackup]:
        return list(self.bases)

    def segments(self, names: Collection[str]) -> set[str]:
        return self.there & set(names)


class Away(Store):
    def base_backups(self) -> list[BaseBackup]:
        raise StoreUnreadable("the object store could not be listed: it answered SignatureDoesNotMatch.")


class Cmp:
    def get(self, resource: Resource, name: str, namespace: str) -> Object:
        assert (resource.kind, name, namespace) == ("Cluster", "cmp-postgres", "cmp")
        return cluster()


def desk(tmp_path: Path) -> Desk:
    return Desk(cast(Kube, Cmp()), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None)


@pytest.mark.parametrize(
    ("bases", "told"),
    [
        ((OTHER, BaseBackup("id-new", 9, "DONE")), ""),
        ((OTHER,), "Backup new is completed, and in the object store cmp-postgres-7 has no base backup id-new: retention, "),
        ((), "Backup new is completed, and in the object store cmp-postgres-7 has no base backup id-new: retention, "),
        ((BaseBackup("id-new", 9, "FAILED"),), "Backup new is completed, and Barman says that its base backup id-new is FAILED"),
    ],
)
def test_a_base_backup_that_the_store_does_not_hold_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bases: tuple[BaseBackup, ...], told: str
) -> None:
    monkeypatch.setattr(in_store, "store_of", lambda *_: Store(*bases))
    found = in_store.why_no_base(desk(tmp_path), DATABASE, planned())
    assert found.startswith(told)
    assert bool(found) == bool(told)


@pytest.mark.parametrize(
    ("store", "outcome", "reason"),
    [
        (Store(), "failed", "has no base backup id-new"),
        (Away(), "inconclusive", "the object store could not be listed: it answered SignatureDoesNotMatch."),
    ],
)
def test_then_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store, outcome: str, reason: str) -> None:
    monkeypatch.setattr(in_store, "store_of", lambda *_: store)
    monkeypatch.setattr(proving, "_source_fingerprint", lambda *_: (SimpleNamespace(to_json=lambda: {"lsn": "0/5001000"}), False))
    at = desk(tmp_path)
    journal = Journal.open(at.records, "prove_backup", "the-run")
    results = proving.execute(at, planned(), journal)
    assert results["outcome"] == outcome
    assert reason in results["reason"]
    assert journal.entries == []


def lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store | Exception) -> str:
    @contextmanager
    def source_of(*_: Any) -> Iterator[Any]:
        if isinstance(store, Exception):
            raise store
        yield SimpleNamespace(store=store, session=None)

    monkeypatch.setattr(in_store, "source_of", source_of)
    monkeypatch.setattr(in_store, "archiver_status", lambda _: SimpleNamespace(segment_size=16 * 2**20))
    return in_store.lacking_wal(desk(tmp_path), DATABASE, planned(), "0/5001000", 2)


def test_what_a_failed_restore_lacked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacking(tmp_path, monkeypatch, Store()) == ""
    few = Store(segments={"000000010000000000000003"})
    assert lacking(tmp_path, monkeypatch, few) == (
        " The object store lacks WAL that it reads: 000000010000000000000004, 000000020000000000000005."
    )
    assert lacking(tmp_path, monkeypatch, Store(segments=())).startswith(" The object store lacks WAL that it reads: 000000010000")


@pytest.mark.parametrize("problem", [OperationFailed("no primary is settled"), errors.Unavailable("no answer"), StoreUnreadable("away")])
def test_what_could_not_be_looked_for_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    told = lacking(tmp_path, monkeypatch, problem)
    assert told == f" Whether the object store has all the WAL up to the target is not known: {problem}"
