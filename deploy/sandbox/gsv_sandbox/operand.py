"""The root file system of the PostgreSQL image, from Debian's packages and Barman from PyPI, as two layers.

The lower layer is a small Debian with Python and Barman, which the backup plugin's sidecar needs as well; the upper one is
PostgreSQL with its contrib extensions. Everything runs in mount and process namespaces of its own that end with this
process: no mount and no half-done debootstrap stays behind, also after a kill -9.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gsv_sandbox.archive import ImageError, layer

log = logging.getLogger(__name__)

SUITE = "bookworm"
SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
POSTGRESQL = "15"
BARMAN = "3.19.1"
PYTHON = "3.11"  # the suite's own
ID = 26  # the uid and gid that CloudNativePG's pods run with
# psycopg2 is Debian's: PyPI has it only as source, which would need a compiler and headers
LOWER_PACKAGES = ("python3-minimal", "python3", "python3-psycopg2", "ca-certificates")
UPPER_PACKAGES = (f"postgresql-{POSTGRESQL}", f"postgresql-client-{POSTGRESQL}")
# barman is installed without its dependencies, because of psycopg2; these are the others of barman[cloud]
WHEELS = (f"barman=={BARMAN}", "boto3>=1.40,<2", "python-dateutil>=2.9,<3")
STEP_SECONDS = 900

# Nothing that a container reads: they are left out of the layers. Sources, credentials and name servers are the build
# machine's own. JIT (a compiler of 140 MB) is off the path of every test; PostgreSQL works without the library.
LEFT_OUT = re.compile(
    r"""(dev|proc|sys|run|tmp|var/tmp)/.+
      | etc/apt/(sources\.list.*|auth\.conf.*|apt\.conf\.d/99host|trusted\.gpg.*)
      | etc/(resolv\.conf|hosts|hostname) | usr/sbin/policy-rc\.d | etc/dpkg/dpkg\.cfg\.d/99image
      | var/(lib/apt/lists|cache/apt|cache/debconf|log)/.+
      | etc/ssl/(private|certs)/ssl-cert-snakeoil\..+
      | usr/share/(doc|man|locale|i18n|info|lintian)/.+
      | usr/lib/[^/]+/lib(LLVM|z3)[.-].+ | usr/lib/postgresql/[^/]+/lib/(llvmjit.*|bitcode(/.*)?)""",
    re.VERBOSE,
)


def build(work: Path) -> tuple[Path, Path, str]:
    """Makes both layers below work: (lower layer, upper layer, PostgreSQL's full version such as "15.13").

    Needs root and the programs of images.DEBIAN_PACKAGES. The finished root file system has proven itself: its postgres and
    its barman-cloud-backup ran. Raises ImageError, naming the step and the end of its output.
    """
    if os.geteuid() != 0:
        raise ImageError("the PostgreSQL image is made in a chroot: run this as root")
    root = work / "root"
    log.info("debootstrap of a minimal Debian %s", SUITE)
    mirror = _sources()
    _run("debootstrap", _isolated("debootstrap", "--variant=minbase", SUITE, root, *mirror[:1]), work)
    _prepare(root)
    log.info("Python and Barman %s", BARMAN)
    _install(root, LOWER_PACKAGES, work)
    _barman(root, work)
    _prove(root, "/usr/local/bin/barman-cloud-backup", work)
    before = _state(root)
    lower = layer(root, work / "lower.tar", sorted(before))
    log.info("PostgreSQL %s", POSTGRESQL)
    _install(root, UPPER_PACKAGES, work)
    version = _prove(root, f"/usr/lib/postgresql/{POSTGRESQL}/bin/postgres", work)
    after = _state(root)
    changed = [path for path, state in after.items() if before.get(path) != state]
    return lower, layer(root, work / "upper.tar", sorted(changed)), version


def _sources() -> list[str]:
    """This machine's own mirrors of the suite, the main one first; empty where it has none (debootstrap knows a default)."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        uri, release, component = (*line.split(), "", "", "")[:3]
        if release in SUITES and component == "main":
            found.setdefault(release, uri)
    return [found[release] for release in SUITES if release in found] if SUITE in found else []


def _prepare(root: Path) -> None:
    """Settings of the build machine that apt needs in the root, and the account that the pods run as."""
    apt, mirrors = root / "etc/apt", _sources()
    if mirrors:
        lines = [f"deb {uri} {release} main" for uri, release in zip(mirrors, SUITES, strict=False)]
        (apt / "sources.list").write_text("\n".join(lines) + "\n")
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, timeout=60, check=True).stdout
    kept = [line for line in dumped.splitlines() if re.match(r"Acquire::(?!IndexTargets|Changelogs)", line)]
    (apt / "apt.conf.d/99host").write_text("\n".join(kept) + "\n")
    if Path("/etc/apt/auth.conf.d").is_dir():
        shutil.copytree("/etc/apt/auth.conf.d", apt / "auth.conf.d", dirs_exist_ok=True)
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():  # for mirrors behind https; the package of that name writes its own file over it
        (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copy(bundle, root / "etc/ssl/certs/ca-certificates.crt")
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", root / "etc" / name)
    (root / "etc/dpkg/dpkg.cfg.d/99image").write_text("force-unsafe-io\n")
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    (root / "etc/postgresql-common").mkdir(exist_ok=True)
    (root / "etc/postgresql-common/createcluster.conf").write_text("create_main_cluster = false\n")
    # Debian gives the gid to `tape`
    steps = f"""groupdel tape; groupadd -r -g {ID} postgres &&
        useradd -r -u {ID} -g {ID} -d /var/lib/postgresql -s /bin/bash postgres"""
    _run("the account postgres", _isolated("chroot", root, "sh", "-c", steps), root.parent)


def _install(root: Path, packages: Sequence[str], work: Path) -> None:
    script = """mount -t proc proc /proc && export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 &&
        apt-get update -q -o Acquire::Retries=3 &&
        apt-get install -q -y --no-install-recommends -o Acquire::Retries=3 "$@" &&
        apt-get clean"""
    command = _isolated("chroot", root, "sh", "-c", script, "sh", *packages)
    _run(f"installation of {' '.join(packages)}", command, work)


def _barman(root: Path, work: Path) -> None:
    packages = root / f"usr/local/lib/python{PYTHON}/dist-packages"
    platform = f"manylinux2014_{os.uname().machine}"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", packages, "--upgrade",
           "--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", "--platform", platform]  # fmt: skip
    _run("pip install of Barman", [*pip, "--no-deps", WHEELS[0]], work)
    for script in sorted((packages / "bin").glob("barman-cloud-*")):
        body = script.read_text().split("\n", 1)[1]
        target = root / "usr/local/bin" / script.name
        target.write_text(f"#!/usr/bin/python3\n{body}")
        target.chmod(0o755)
    # pip replaces the scripts' directory each time, so this one comes after they were copied
    _run("pip install of what Barman needs", [*pip, *WHEELS[1:]], work)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    # every archived WAL segment starts Python once, as a user that cannot keep the compiled files
    inside = "/" + str(packages.relative_to(root))
    _run("compilation of Barman", _isolated("chroot", root, "python3", "-m", "compileall", "-q", inside), work)


def _prove(root: Path, program: str, work: Path) -> str:
    """Runs `program --version` in the root as the pods' user; the version that it states."""
    stated = _run(f"{program} --version", _isolated("chroot", f"--userspec={ID}:{ID}", root, program, "--version"), work)
    found = re.search(r"\d+(\.\d+)+", stated)
    if not found:
        raise ImageError(f"{program} --version in the new root said {stated.strip()!r}, no version")
    return found.group()


def _state(root: Path) -> dict[str, tuple[int, int]]:
    """(change time, size) of every path that belongs into an image, relative to root. Any write moves the change time."""
    found: dict[str, tuple[int, int]] = {}
    for directory, folders, files in os.walk(root):
        below = os.path.relpath(directory, root)
        for name in (*folders, *files):
            path = name if below == "." else f"{below}/{name}"
            if not LEFT_OUT.fullmatch(path):
                status = (root / path).lstat()
                found[path] = (status.st_ctime_ns, status.st_size)
        folders[:] = [name for name in folders if (f"{below}/{name}" if below != "." else name) in found]
    return found


def _isolated(*command: str | Path) -> list[str | Path]:
    """command in mount and process namespaces of its own, ended by the kernel when this process ends."""
    namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return ["setpriv", "--pdeathsig", "KILL", *namespaces, *command]


def _run(step: str, command: Sequence[str | Path], work: Path) -> str:
    """Runs one step with a deadline, its output kept in work/build.log; returns the output."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=STEP_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ImageError(f"{step}: {error.filename} is not installed; see images.DEBIAN_PACKAGES") from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"{step} was not done after {STEP_SECONDS} s") from None
    with (work / "build.log").open("a") as record:
        record.write(f"--- {step}\n{done.stdout}\n")
    if done.returncode != 0:
        raise ImageError(f"{step} failed (exit {done.returncode}): {done.stdout.strip()[-1500:]}")
    return done.stdout
