"""Images are made once, made again when what they are made from changes, and never taken from a half-done build."""

import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from gsv_sandbox import archive, images, operand
from gsv_sandbox.archive import ImageError
from gsv_sandbox.state import paths_from

from gsv_ops.platform import spec

needs_tools = pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("busybox")), reason="needs gcc and busybox-static")


def configuration(path: Path) -> dict[str, object]:
    with tarfile.open(path) as made:
        manifest = json.load(made.extractfile("manifest.json"))[0]
        settings: dict[str, object] = json.load(made.extractfile(manifest["Config"]))["config"]
        return settings


def unpack(path: Path, to: Path, layers: int = 1) -> Path:
    for number in range(layers):
        layer = archive.extract_layer(path, number, to.with_name(f"{to.name}.{number}"))
        with tarfile.open(layer) as content:
            content.extractall(to, filter="tar")
    return to


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    folder = tmp_path / "binaries"
    folder.mkdir()
    for name in (images.OPERATOR_BINARY, images.PLUGIN_BINARY):
        (folder / name).write_text(f"#!/bin/sh\necho {name}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def small_operand(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """In place of a debootstrap: two layers of one file each. The list gets the work directory of every build."""
    builds: list[Path] = []

    def build(work: Path) -> tuple[Path, Path, str]:
        builds.append(work)
        root = work / "root"
        root.mkdir()
        (root / "python").write_text("python")
        lower = archive.layer(root, work / "lower.tar", ("python",))
        (root / "postgres").write_text("postgres")
        return lower, archive.layer(root, work / "upper.tar", ("postgres",)), "15.99"

    monkeypatch.setattr(operand, "build", build)
    return builds


def catches_sigterm(pid: int, seconds: float) -> bool:
    """Whether the process has set up its own end: a signal that comes earlier may be lost, where the caller ignores it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
        if caught & 1 << (signal.SIGTERM - 1):
            return True
        time.sleep(0.02)
    return False


@needs_tools
def test_pause_and_busybox_run(tmp_path: Path) -> None:
    made = images.base(tmp_path / "cache")
    assert set(made) == {"localhost/pause:3.10", "localhost/busybox:1.35"}
    assert configuration(made[images.PAUSE])["Entrypoint"] == ["/pause"]
    pause = subprocess.Popen([unpack(made[images.PAUSE], tmp_path / "pause") / "pause"])
    assert catches_sigterm(pause.pid, 10), "it never began to wait for the end"
    pause.terminate()
    assert pause.wait(10) == 0
    shell = unpack(made[images.BUSYBOX], tmp_path / "busybox") / "bin/sh"
    said = subprocess.run([shell, "-c", "echo $((6*7))"], capture_output=True, text=True, timeout=10, check=True)
    assert said.stdout == "42\n"


@needs_tools
def test_a_second_call_makes_nothing_anew(tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in images.base(tmp_path).values()}
    assert {path: path.stat().st_mtime_ns for path in images.base(tmp_path).values()} == before


def test_postgresql_is_tagged_with_its_full_version_also_from_the_cache(tmp_path: Path, small_operand: list[Path]) -> None:
    for _ in range(2):
        made = images.operand(tmp_path)
        assert set(made) == {"localhost/postgresql:15", "localhost/postgresql:15.99"}
        assert len(set(made.values())) == 1
    assert len(small_operand) == 1
    assert configuration(made["localhost/postgresql:15"])["User"] == "26"


def test_the_sidecar_shares_postgresqls_lower_layer_and_has_no_postgresql(
    tmp_path: Path, binaries: Path, small_operand: list[Path]
) -> None:
    made = images.plugin(tmp_path / "cache", binaries)
    root = unpack(made[images.SIDECAR], tmp_path / "sidecar", layers=2)
    assert sorted(path.name for path in root.iterdir()) == ["manager", "python"]
    assert configuration(made[images.SIDECAR])["Entrypoint"] == ["/manager"]
    service = unpack(made[images.PLUGIN], tmp_path / "plugin")
    assert (service / "manager").read_bytes() == (binaries / images.PLUGIN_BINARY).read_bytes()


def test_a_changed_binary_makes_a_new_image_and_removes_the_old(tmp_path: Path, binaries: Path) -> None:
    cache = tmp_path / "cache"
    first = images.operator(cache, binaries)[images.OPERATOR]
    (binaries / images.OPERATOR_BINARY).write_text("another")
    second = images.operator(cache, binaries)[images.OPERATOR]
    assert first != second
    assert list(cache.glob("*.tar")) == [second]
    root = unpack(second, tmp_path / "root")
    assert (root / "manager").read_text() == "another"


def test_what_a_killed_build_left_is_neither_used_nor_kept(tmp_path: Path, small_operand: list[Path]) -> None:
    path = images.operand(tmp_path)[images.POSTGRESQL]
    path.unlink()
    half = path.with_name(f"{path.name}.4711.part")
    half.write_text("half an image")
    left = tmp_path / "postgresql.build.killed"
    (left / "root").mkdir(parents=True)
    assert images.operand(tmp_path)[images.POSTGRESQL] == path
    assert not half.exists()
    assert not left.exists()
    assert len(small_operand) == 2


def test_a_failed_build_leaves_no_image_and_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(work: Path) -> tuple[Path, Path, str]:
        (work / "root").mkdir()
        raise ImageError("debootstrap failed")

    monkeypatch.setattr(operand, "build", build)
    with pytest.raises(ImageError, match="debootstrap failed"):
        images.operand(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["postgresql.lock"]


def test_the_client_of_a_nodes_runtime_is_found_by_its_name(tmp_path: Path, binaries: Path) -> None:
    (binaries / images.CRICTL_BINARY).write_text("#!/bin/sh\n")
    made = images.crictl(tmp_path / "cache", binaries)[images.CRICTL]
    assert archive.tags(made) == (images.CRICTL,)
    assert (unpack(made, tmp_path / "root") / "bin" / "crictl").exists()
    assert not configuration(made).get("User"), "the runtime's socket is root's"


def test_what_the_sandbox_asks_runtimes_with_is_what_platform_yaml_names() -> None:
    runtime = spec.load("sandbox").cleanup.images.runtime
    assert runtime.image == images.CRICTL
    assert runtime.socket == str(paths_from({}).containerd / "containerd.sock")


def test_a_missing_binary_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cnpg-manager does not exist"):
        images.operator(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("etc/apt/sources.list", True),
        ("etc/apt/sources.list.d/debian.sources", True),
        ("etc/apt/auth.conf.d/mirror.conf", True),
        ("etc/apt/apt.conf.d/99host", True),
        ("etc/resolv.conf", True),
        ("var/lib/apt/lists/mirror_dists_bookworm_InRelease", True),
        ("etc/ssl/private/ssl-cert-snakeoil.key", True),
        ("usr/lib/x86_64-linux-gnu/libLLVM-14.so.1", True),
        ("usr/lib/postgresql/15/lib/bitcode/postgres/access.bc", True),
        ("dev/null", True),
        ("tmp", False),
        ("usr/lib/postgresql/15/lib/citext.so", False),
        ("usr/share/postgresql/15/extension/pgcrypto.control", False),
        ("usr/lib/x86_64-linux-gnu/libpq.so.5", False),
        ("etc/ssl/certs/ca-certificates.crt", False),
        ("var/lib/dpkg/status", False),
    ],
)
def test_what_is_left_out_of_the_layers(path: str, out: bool) -> None:
    assert bool(operand.LEFT_OUT.fullmatch(path)) is out


def test_a_file_replaced_by_one_of_the_same_size_and_time_counts_as_changed(tmp_path: Path) -> None:
    file = tmp_path / "etc/passwd"
    file.parent.mkdir()
    (tmp_path / "dev/pts").mkdir(parents=True)
    file.write_text("old")
    status = file.stat()
    before = operand._state(tmp_path)
    assert set(before) == {"etc", "etc/passwd", "dev"}
    file.write_text("new")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = operand._state(tmp_path)
    assert [path for path in after if after[path] != before.get(path)] == ["etc/passwd"]
