"""Reading the restored rows goes through the API server: it is begun anew when the way broke, and not for ever."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database.consistent_point import Inconclusive
from gsv_ops.database.proof import execute as proving
from gsv_ops.database.session import QueryFailed, Unreachable
from gsv_ops.kube import errors
from gsv_ops.kube.protocol import ExecResult, Kube
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import DATABASE, cluster
from gsv_ops_tests.unit.database.test_proof_plan import planned

LABEL = "START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n"


class Pod:
    def __init__(self, *problems: Exception) -> None:
        self.problems = list(problems)

    def exec(self, *_: Any, **__: Any) -> ExecResult:
        if self.problems:
            raise self.problems.pop(0)
        return ExecResult(0, LABEL, "")


def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pod: Pod, *problems: Exception) -> tuple[Any, list[float]]:
    """What was read or raised, and the pauses."""
    left, pauses = list(problems), list[float]()

    @contextmanager
    def endpoint_of(*_: Any) -> Iterator[str]:
        yield "an endpoint"

    def take(*_: Any, **__: Any) -> str:
        if left:
            raise left.pop(0)
        return "the rows"

    monkeypatch.setattr(proving, "endpoint_of", endpoint_of)
    monkeypatch.setattr(proving.fingerprint, "take", take)
    desk = Desk(cast(Kube, pod), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None, sleep=pauses.append)
    try:
        return proving._read(desk, DATABASE, cluster(), planned()), pauses
    except (Inconclusive, OperationFailed) as problem:
        return problem, pauses


def test_a_way_that_broke_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(tmp_path, monkeypatch, Pod()) == (("", "the rows"), [])
    broken = (errors.StreamFailed("the port broke"), Unreachable("server closed the connection"))
    for problem in broken:
        assert read(tmp_path, monkeypatch, Pod(), problem) == (("", "the rows"), [5.0])
    assert read(tmp_path, monkeypatch, Pod(errors.Unavailable("no answer"))) == (("", "the rows"), [5.0])


def test_a_way_that_stays_broken_makes_it_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, pauses = read(tmp_path, monkeypatch, Pod(), *[Unreachable("server closed the connection")] * 6)
    assert isinstance(problem, Inconclusive)
    assert str(problem) == "server closed the connection"
    assert pauses == [5.0] * 5


def test_what_the_server_refuses_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, pauses = read(tmp_path, monkeypatch, Pod(), QueryFailed("no such table", "42P01"))
    assert isinstance(problem, OperationFailed)
    assert "reading the restored database: no such table" in str(problem)
    assert pauses == []
