"""What components leave at fixed places: all of it is removed where it was not there before, only ours where it was."""

from pathlib import Path

import pytest
from gsv_sandbox import strays
from gsv_sandbox.state import Paths


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "system"
    monkeypatch.setattr(strays, "RUN_CONTAINERD", root / "run/containerd")
    monkeypatch.setattr(strays, "CONTAINER_LOGS", root / "var/log/containers")
    monkeypatch.setattr(strays, "CNI_RESULTS", root / "var/lib/cni/results")
    return root


def leave(paths: Paths, system: Path) -> list[Path]:
    """What a killed containerd leaves: a bundle in our state, its socket and runc's state outside, a log's link."""
    bundle = paths.containerd / "state/io.containerd.runtime.v2.task/k8s.io/abc"
    socket, runc = system / "run/containerd/s/1234", system / "run/containerd/runc/k8s.io/abc"
    link, result = system / "var/log/containers/pod.log", system / "var/lib/cni/results/gsv-sandbox-abc-eth0"
    for directory in (bundle, socket.parent, runc, link.parent, result.parent):
        directory.mkdir(parents=True, exist_ok=True)
    (bundle / "address").write_text(f"unix://{socket}")
    socket.touch()
    (runc / "state.json").touch()
    link.symlink_to(paths.root / "pod-logs" / "pod.log")
    result.touch()
    return [socket, runc, link, result]


def test_in_a_directory_of_others_only_ours_goes(paths: Paths, system: Path) -> None:
    others = [system / "run/containerd/s/theirs", system / "var/log/containers/theirs.log"]
    for file in others:
        file.parent.mkdir(parents=True)
        file.touch()
    strays.record(paths, [system / "run/containerd", system / "var/log/containers"])
    ours = leave(paths, system)
    assert sorted(strays.find(paths)) == sorted(ours)
    assert strays.remove(paths, strays.find(paths)) == []
    assert not [path for path in ours if path.exists() or path.is_symlink()]
    assert all(file.exists() for file in others)


def test_a_directory_that_was_not_there_goes_whole(paths: Paths, system: Path) -> None:
    directories = [system / "run/containerd", system / "var/lib/cni"]
    strays.record(paths, directories)
    leave(paths, system)
    strays.record(paths, directories)  # the `up` after a crash finds them there
    strays.remove(paths, strays.find(paths))
    assert not [directory for directory in directories if directory.exists()]


def test_another_containerd_that_came_later_keeps_its_directory(paths: Paths, system: Path) -> None:
    strays.record(paths, [system / "run/containerd"])
    leave(paths, system)
    (system / "run/containerd/containerd.sock").touch()
    strays.remove(paths, strays.find(paths))
    assert (system / "run/containerd/containerd.sock").exists()
    assert not (system / "run/containerd/s/1234").exists()
