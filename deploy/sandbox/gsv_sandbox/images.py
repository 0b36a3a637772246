"""The container images of the sandbox, made here: nothing is pulled, so no registry is needed.

`ensure` gives every image as {reference: docker-archive tar}; `base`, `operand`, `operator`, `plugin` and `crictl` give some of
them, for a caller that does not want to wait for the binaries. Each is made once and kept in `cache` under a key of all it is made
from: binaries, packages' names and versions asked for, and the code that makes it. A change of any makes a new one.
"""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gsv_sandbox import archive as archives
from gsv_sandbox import operand as operands
from gsv_sandbox.archive import Image, ImageError

# What making the images needs on this machine, beside Python with pip
DEBIAN_PACKAGES = ("debootstrap", "debian-archive-keyring", "gcc", "libc6-dev", "busybox-static", "util-linux", "tar")

PAUSE = "localhost/pause:3.10"
BUSYBOX = "localhost/busybox:1.35"
POSTGRESQL = f"localhost/postgresql:{operands.POSTGRESQL}"
OPERATOR = "localhost/cloudnative-pg:1.30.0"
PLUGIN = "localhost/plugin-barman-cloud:0.14.0"
SIDECAR = "localhost/plugin-barman-cloud-sidecar:0.14.0"
OPERATOR_BINARY = "cnpg-manager"
PLUGIN_BINARY = "barman-plugin"
CRICTL = "localhost/crictl:1.36"
CRICTL_BINARY = "crictl"
COMPILE_SECONDS = 120

# The first process of every pod: it holds the namespaces and reaps what the containers leave
PAUSE_SOURCE = """\
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int s) { (void)s; _exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, NULL, WNOHANG) > 0); }
int main(void) { signal(SIGINT, end); signal(SIGTERM, end); signal(SIGCHLD, reap); for (;;) pause(); }
"""


def ensure(cache: Path, binaries: Path) -> dict[str, Path]:
    """All images: {reference: docker-archive tar}. binaries holds cnpg-manager, barman-plugin and crictl."""
    return {**base(cache), **operand(cache), **operator(cache, binaries), **plugin(cache, binaries), **crictl(cache, binaries)}


def base(cache: Path) -> dict[str, Path]:
    """pause and busybox; a second's work, needed before any pod can start."""
    with _locked(cache, "base") as work:
        pause = _archive(cache, "pause", _key(PAUSE_SOURCE, Path(__file__)))
        if not pause.exists():
            root = _directory(work / "pause")
            source = work / "pause.c"
            source.write_text(PAUSE_SOURCE)
            _compile(source, root / "pause")
            image = Image((PAUSE,), entrypoint=("/pause",), user="65535:65535")
            _write(image, root, pause)
        program = Path(shutil.which("busybox") or "/bin/busybox")
        if not program.exists():
            raise ImageError("busybox is not installed: apt-get install busybox-static")
        busybox = _archive(cache, "busybox", _key(program, Path(__file__)))
        if not busybox.exists():
            _write(Image((BUSYBOX,), command=("sh",)), _busybox(program, work / "busybox"), busybox)
    return {PAUSE: pause, BUSYBOX: busybox}


def operand(cache: Path) -> dict[str, Path]:
    """PostgreSQL, under localhost/postgresql:15 and :15.<minor>; about a minute, needs the Debian mirror and PyPI."""
    path = _archive(cache, "postgresql", _key(Path(operands.__file__), Path(archives.__file__)))
    with _locked(cache, "postgresql") as work:
        if not path.exists():
            lower, upper, version = operands.build(work)
            image = Image(
                (POSTGRESQL, f"localhost/postgresql:{version}"),
                command=("bash",),
                user=str(operands.ID),
                environment=(f"PATH=/usr/lib/postgresql/{operands.POSTGRESQL}/bin:{archives.PATH}", "LANG=C.UTF-8"),
            )
            _drop_others(archives.write(image, (lower, upper), path))
    return dict.fromkeys(archives.tags(path), path)


def operator(cache: Path, binaries: Path) -> dict[str, Path]:
    """CloudNativePG's operator, from binaries/cnpg-manager."""
    binary = _binary(binaries, OPERATOR_BINARY)
    path = _archive(cache, "operator", _key(binary, Path(__file__)))
    with _locked(cache, "operator") as work:
        if not path.exists():
            root = _directory(work / "root")
            _directory(root / "tmp", 0o1777)
            # instances of another architecture would find their manager by this name
            name = f"operator/manager_{archives.architecture()}"
            shutil.copy(binary, _directory(root / "operator") / Path(name).name)
            (root / "manager").symlink_to(name)
            _write(Image((OPERATOR,), entrypoint=("/manager",), user="65532:65532"), root, path)
    return {OPERATOR: path}


def plugin(cache: Path, binaries: Path) -> dict[str, Path]:
    """The Barman Cloud plugin and its sidecar, from binaries/barman-plugin; the sidecar stands on the operand's lower layer."""
    binary, postgresql = _binary(binaries, PLUGIN_BINARY), operand(cache)[POSTGRESQL]
    service = _archive(cache, "plugin", _key(binary, Path(__file__)))
    sidecar = _archive(cache, "sidecar", _key(binary, postgresql.name, Path(__file__)))
    with _locked(cache, "plugin") as work:
        if not (service.exists() and sidecar.exists()):
            root = _directory(work / "root")
            _directory(root / "tmp", 0o1777)
            shutil.copy(binary, root / "manager")
            _write(Image((PLUGIN,), entrypoint=("/manager",), user="65532:65532"), root, service)
            lower = archives.extract_layer(postgresql, 0, work / "lower.tar")
            upper = archives.layer(root, work / "manager.tar", ("manager",))
            image = Image((SIDECAR,), entrypoint=("/manager",), user=f"{operands.ID}:{operands.ID}")
            _drop_others(archives.write(image, (lower, upper), sidecar))
    return {PLUGIN: service, SIDECAR: sidecar}


def crictl(cache: Path, binaries: Path) -> dict[str, Path]:
    """What the desk asks a node's runtime for its images with, from binaries/crictl."""
    binary = _binary(binaries, CRICTL_BINARY)
    path = _archive(cache, "crictl", _key(binary, Path(__file__)))
    with _locked(cache, "crictl") as work:
        if not path.exists():
            root = _directory(work / "root")
            shutil.copy(binary, _directory(root / "bin") / CRICTL_BINARY)
            _write(Image((CRICTL,), command=("crictl",)), root, path)
    return {CRICTL: path}


def _key(*parts: str | Path) -> str:
    """12 hex digits over texts and files' contents."""
    digests = [archives.digest(part) if isinstance(part, Path) else part for part in parts]
    return hashlib.sha256("\0".join(digests).encode()).hexdigest()[:12]


def _archive(cache: Path, name: str, key: str) -> Path:
    return cache / f"{name}-{key}.tar"


def _write(image: Image, root: Path, to: Path) -> None:
    packed = archives.layer(root, root.with_name(f"{root.name}.layer.tar"))
    _drop_others(archives.write(image, (packed,), to))


def _drop_others(path: Path) -> None:
    """Removes what earlier keys left of the same image."""
    name = path.stem.rpartition("-")[0]
    for other in path.parent.glob(f"{name}-*.tar"):
        if other != path:
            other.unlink(missing_ok=True)


@contextmanager
def _locked(cache: Path, name: str) -> Iterator[Path]:
    """An empty work directory for one builder at a time; what a killed one left is removed first."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in (*cache.glob(f"{name}.build.*"), *cache.glob(f"{name}-*.part")):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        work = Path(tempfile.mkdtemp(prefix=f"{name}.build.", dir=cache))
        work.chmod(0o755)  # the pods' user runs programs in a root below it
        try:
            yield work
        finally:
            shutil.rmtree(work)


def _binary(binaries: Path, name: str) -> Path:
    path = binaries / name
    if not path.is_file():
        raise ImageError(f"{path} does not exist: build the sandbox's binaries first")
    return path


def _directory(path: Path, mode: int = 0o755) -> Path:
    path.mkdir(parents=True)
    path.chmod(mode)
    return path


def _compile(source: Path, to: Path) -> None:
    if not shutil.which("gcc"):
        raise ImageError("gcc is not installed: apt-get install gcc libc6-dev")
    made = subprocess.run(
        ["gcc", "-Os", "-static", "-s", "-o", to, source],
        capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        raise ImageError(f"gcc could not build the pause program (is libc6-dev installed?): {made.stderr.strip()[-500:]}")


def _busybox(program: Path, root: Path) -> Path:
    for name in ("bin", "etc", "root", "proc", "sys", "dev", "usr", "var"):
        _directory(root / name)
    _directory(root / "tmp", 0o1777)
    shutil.copy(program, root / "bin/busybox")
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, timeout=30, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnobody:x:65534:\n")
    return root
