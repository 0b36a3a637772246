"""What is changed on the machine is put back; with a proc file system of our own."""

import json
from pathlib import Path

import pytest
from gsv_sandbox import machine
from gsv_sandbox.state import Paths, write_private

NAMES = ("net/ipv4/ip_forward", "kernel/panic", "net/bridge/absent")


@pytest.fixture
def proc_sys(tmp_path: Path) -> Path:
    for name, value in (("net/ipv4/ip_forward", "0\n"), ("kernel/panic", "1\n")):
        file = tmp_path / "sys" / name
        file.parent.mkdir(parents=True)
        file.write_text(value)
    return tmp_path / "sys"


def test_every_value_is_put_back_and_only_what_changed_is_written(paths: Paths, proc_sys: Path) -> None:
    machine.record_sysctls(paths, NAMES, proc_sys)
    machine.set_sysctl("net/ipv4/ip_forward", "1", proc_sys)
    assert machine.restore_sysctls(paths, proc_sys) == ["net.ipv4.ip_forward"]
    assert (proc_sys / "net/ipv4/ip_forward").read_text() == "0"
    assert (proc_sys / "kernel/panic").read_text() == "1\n"


def test_an_up_after_a_crash_does_not_record_our_own_values(paths: Paths, proc_sys: Path) -> None:
    machine.record_sysctls(paths, NAMES, proc_sys)
    machine.set_sysctl("net/ipv4/ip_forward", "1", proc_sys)
    machine.record_sysctls(paths, NAMES, proc_sys)
    machine.restore_sysctls(paths, proc_sys)
    assert (proc_sys / "net/ipv4/ip_forward").read_text() == "0"


def test_a_record_of_another_boot_is_not_put_back_and_is_taken_anew(paths: Paths, proc_sys: Path) -> None:
    write_private(paths.machine_record, json.dumps({"boot": "before", "sysctls": {"kernel/panic": "77"}}))
    assert machine.restore_sysctls(paths, proc_sys) == []
    assert (proc_sys / "kernel/panic").read_text() == "1\n"
    machine.record_sysctls(paths, NAMES, proc_sys)
    assert json.loads(paths.machine_record.read_text())["sysctls"]["kernel/panic"] == "1"


def test_mounts_are_found_innermost_and_newest_first(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    points = ["/", "/state", "/state/a", "/state/a/b\\040c", "/state/a", "/statelessness/x", "/other"]
    mountinfo.write_text("".join(f"{n} 1 8:1 / {point} rw - ext4 /dev/x rw\n" for n, point in enumerate(points)))
    assert machine.mounts_below(Path("/state"), mountinfo) == [
        Path("/state/a/b c"),
        Path("/state/a"),
        Path("/state/a"),
    ]


def test_a_failing_tool_is_told_with_its_words() -> None:
    with pytest.raises(RuntimeError, match="ended with 3: out of cheese"):
        machine.run("/bin/sh", "-c", "echo out of cheese >&2; exit 3")
