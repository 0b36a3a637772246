"""Which control group file system the sandbox's processes are tracked in."""

from pathlib import Path

from gsv_sandbox import cgroups

V1 = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n"
V2 = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
OTHER = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\nproc /proc proc rw 0 0\n"


def test_version_2_tracks_where_it_is_mounted_and_all_get_the_group() -> None:
    found = cgroups.hierarchies(OTHER + V1 + V2)
    assert found is not None
    assert found.tracking == Path("/sys/fs/cgroup/unified")
    assert [group.name for group in found.all] == ["cpu", "pids", "unified"]
    assert found.components == Path("/sys/fs/cgroup/unified/gsv-sandbox/components")


def test_version_1_alone_is_enough() -> None:
    found = cgroups.hierarchies(V1)
    assert found is not None
    assert found.tracking == Path("/sys/fs/cgroup/cpu")


def test_no_control_groups_are_said_to_be_none() -> None:
    assert cgroups.hierarchies(OTHER) is None


def test_a_group_of_version_1_gets_its_parents_processors_and_everything_goes_again(tmp_path: Path) -> None:
    (tmp_path / "cpuset.cpus").write_text("0-1\n")
    group = tmp_path / "gsv-sandbox"
    group.mkdir()
    (group / "cpuset.cpus").write_text("\n")
    found = cgroups.Hierarchies((tmp_path,), tmp_path)
    cgroups.make(found)
    assert (group / "cpuset.cpus").read_text() == "0-1\n"
    assert found.components.is_dir()


def test_groups_are_removed_from_the_inside_and_what_stays_is_named(tmp_path: Path) -> None:
    found = cgroups.Hierarchies((tmp_path,), tmp_path)
    inner = tmp_path / "gsv-sandbox" / "kubepods" / "pod1"
    inner.mkdir(parents=True)
    (inner / "busy").touch()
    assert inner in cgroups.remove(found, deadline=0)
    (inner / "busy").unlink()
    assert cgroups.remove(found, deadline=0) == []
    assert not (tmp_path / "gsv-sandbox").exists()
