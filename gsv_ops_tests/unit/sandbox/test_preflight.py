"""What a machine must have, each lack with its way out, and all of them at once."""

import socket
from pathlib import Path

import pytest
from gsv_sandbox import debian, preflight
from gsv_sandbox.errors import PreflightError, SandboxError
from gsv_sandbox.state import Paths

GIB = 1 << 30


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(PreflightError) as caught:
        preflight.collect([lambda: preflight.root(1000), lambda: preflight.go("go1.20.1"), lambda: preflight.root(0)])
    assert len(caught.value.problems) == 2
    for words in ("not root", "sudo", "go1.20.1", "too old"):
        assert words in str(caught.value)


@pytest.mark.parametrize(("version", "fits"), [("go1.26.4", True), ("go1.27rc1", True), ("go1.26.3", False)])
def test_the_oldest_go(version: str, fits: bool) -> None:
    if fits:
        preflight.go(version)
    else:
        with pytest.raises(SandboxError, match=r"install Go 1\.26"):
            preflight.go(version)


@pytest.mark.parametrize(("kib", "fits"), [(4 << 20, True), ((4 << 20) - 1, False)])
def test_memory(kib: int, fits: bool) -> None:
    meminfo = f"MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable: {kib} kB\n"
    if fits:
        preflight.memory(meminfo)
    else:
        with pytest.raises(SandboxError, match="of memory are available, 4 GiB are needed"):
            preflight.memory(meminfo)


def test_disk_is_asked_where_the_directory_will_be(paths: Paths) -> None:
    preflight.disk(paths, lambda _: 15 * GIB)
    with pytest.raises(SandboxError, match=r"(?s)14\.0 GiB are free at .*GSV_SANDBOX_STATE"):
        preflight.disk(paths, lambda place: 14 * GIB if place.is_relative_to(paths.root) else 99 * GIB)
    with pytest.raises(SandboxError, match="GSV_SANDBOX_CACHE"):
        preflight.disk(paths, lambda place: 99 * GIB if place.is_relative_to(paths.root) else 1)


def test_a_port_that_someone_listens_on_is_taken() -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))  # noqa: S104 - that is the case: a listener on all addresses takes ours too
        listener.listen()
        port = listener.getsockname()[1]
        assert not preflight._is_free("127.88.0.3", port)
    assert preflight._is_free("127.88.0.3", port)


def test_missing_tools_are_named_by_their_packages_once(tmp_path: Path) -> None:
    needed = {"sh": "dash", "no-such-tool-1": "b", "no-such-tool-2": "b", str(tmp_path / "no-file"): "a"}
    assert debian.missing_packages(needed) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\n", True),
        ("ID=ubuntu\nID_LIKE=debian\n", True),
        ('ID=mint\nID_LIKE="ubuntu debian"\n', True),
        ("ID=fedora\n", False),
    ],
)
def test_debian_and_what_is_made_from_it(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "os-release").write_text(text)
    assert debian.is_debian(tmp_path / "os-release") is expected
    assert debian.is_debian(tmp_path / "absent") is False


def test_elsewhere_the_missing_packages_are_named_and_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "os-release").write_text("ID=fedora\n")
    with pytest.raises(SandboxError, match=r"packages are missing.*containerd") as caught:
        debian.ensure(lambda _: pytest.fail("it began to install"), tmp_path / "os-release")
    assert "apt-get install" in caught.value.mend


def test_another_sandbox_on_the_machine_is_left_alone(paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="another sandbox is on this machine") as caught:
        preflight.alone(paths, tmp_path)
    assert f"GSV_SANDBOX_STATE={tmp_path} gsv-sandbox down" in caught.value.mend
    preflight.alone(paths, paths.root)
    preflight.alone(paths, tmp_path / "removed")
