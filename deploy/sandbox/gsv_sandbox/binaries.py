"""The components' binaries, built once from pinned sources into a cache that is keyed by what they are built from.

All of the core's are one Go module, so that what they share (most of it: Kubernetes' libraries) is compiled once. They are
built in the order in which the sandbox needs them, in the background: `require` waits for one. What does not fit into that
module is an addon, built after it (`build_addon`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import IO

from gsv_sandbox.catalogue import SOURCES, Addon, Binary, catalogue, manifests, required_go
from gsv_sandbox.errors import SandboxError

BUILD_FLAGS = ("-trimpath", "-mod=readonly")
BUILD_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-buildvcs=false",
    # Never fetch another Go toolchain behind the user's back.
    "GOTOOLCHAIN": "local",
    # The compiler's garbage collector takes a fifth of the time at its default; memory is not what is short.
    "GOGC": "400",
}
LOCK_DEADLINE_SECONDS = 3600.0


def cache_key(sources: Path, go_version: str) -> str:
    """12 hex digits over everything that decides what the binaries are."""
    digest = hashlib.sha256()
    go_mod = (sources / "go.mod").read_text()
    parts = [
        go_version,
        repr(BUILD_FLAGS),
        repr(sorted(BUILD_ENVIRONMENT.items())),
        *(repr((binary.name, binary.package, binary.ldflags)) for binary in catalogue(go_mod)),
    ]
    for file in sorted([*sources.glob("go.*"), *sources.rglob("*.go")]):
        parts += [str(file.relative_to(sources)), file.read_text()]
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:12]


def go_version() -> str:
    """What `go version` says, such as `go1.26.8`; SandboxError when there is no Go."""
    try:
        done = subprocess.run(
            ["go", "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=SOURCES,
            env={**os.environ, **BUILD_ENVIRONMENT},
        )
    except FileNotFoundError:
        done = None
    wanted = required_go((SOURCES / "go.mod").read_text())
    mend = f"install Go {wanted} or newer and put its `go` on PATH; it builds the sandbox's components from source"
    if done is None:
        raise SandboxError("Go is not installed (no `go` on PATH)", mend)
    if done.returncode != 0:
        raise SandboxError(f"`go env GOVERSION` failed: {done.stderr.strip()[-500:]}", mend)
    return done.stdout.strip()


def build_addon(addon: Addon, cache: Path, report: Callable[[str, float], None]) -> Path:
    """The directory that holds the addon, built unless the cache has it. SandboxError when it cannot be built."""
    name = addon.binary.name
    parts = [go_version(), repr(BUILD_FLAGS), repr(sorted(BUILD_ENVIRONMENT.items())), repr(addon)]
    parts += [(addon.sources / file).read_text() for file in ("go.mod", "go.sum")]
    directory = cache / "bin" / f"{name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"
    target = directory / name
    if target.exists():
        report(name, 1.0)
        return directory
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / f".{name}.new"
    flags = [*BUILD_FLAGS, f"-modfile={addon.sources / 'go.mod'}", "-ldflags", addon.binary.ldflags]
    report(name, 0.1)
    run_go(["go", "build", *flags, "-o", str(new), addon.binary.package], _source(addon))
    new.replace(target)
    report(name, 1.0)
    return directory


def run_go(argv: list[str], where: Path) -> str:
    """What a go command said; SandboxError when it failed."""
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    environment = {**os.environ, **BUILD_ENVIRONMENT}
    done = subprocess.run([*tied, *argv], cwd=where, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise SandboxError(
            f"`{' '.join(argv)}` failed: {done.stderr.strip()[-1000:]}",
            "the Go module proxy must be reachable (GOPROXY) or the modules be in Go's cache",
        )
    return done.stdout


def _source(addon: Addon) -> Path:
    """The addon's source in Go's module cache, once its sum was compared."""
    # outside of any module, since the addon's own go.mod names it as the main one
    said = json.loads(run_go(["go", "mod", "download", "-json", f"{addon.module}@{addon.version}"], Path("/")))
    if said.get("Sum") != addon.sum:
        raise SandboxError(
            f"{addon.module}@{addon.version} has the sum {said.get('Sum')}, expected {addon.sum}",
            "look at what the Go module proxy serves; the catalogue pins the sum",
        )
    return Path(said["Dir"])


class Build:
    """The build of everything that is not in the cache yet, in the background.

    `report(name, share)` is called with a binary's name and how much of it is done, 0.0 to 1.0 (estimated by its
    typical time and by how fast the ones before it went), and with 1.0 for what the cache holds already.
    """

    def __init__(self, cache: Path, report: Callable[[str, float], None], sources: Path = SOURCES) -> None:
        self._sources, self._report = sources, report
        self._go_mod = (sources / "go.mod").read_text()
        self.directory = cache / "bin" / cache_key(sources, go_version())
        self._lock_file = cache / "build.lock"
        self._finished = {binary.name: threading.Event() for binary in catalogue(self._go_mod)}
        self._error: SandboxError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="build", daemon=True)

    def start(self) -> None:
        """Begin; what the cache holds is ready at once, and nothing is built when it holds everything."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for name in self._finished:
            if (self.directory / name).exists():
                self._finished[name].set()
                self._report(name, 1.0)
        self._thread.start()

    @property
    def complete(self) -> bool:
        """Whether every binary and manifest is in the cache."""
        files = [binary.name for binary in catalogue(self._go_mod)] + [m.name for m in manifests(self._go_mod)]
        return all((self.directory / name).exists() for name in files)

    def require(self, *names: str) -> Path:
        """Wait until these binaries are built; the directory that holds them. SandboxError when the build failed."""
        for name in names:
            while not self._finished[name].wait(0.2):
                if self._error is not None:
                    raise self._error
        return self.directory

    def manifest(self, name: str) -> Path:
        """The path of a module's manifest in the cache; waits for it."""
        while not (self.directory / name).exists():
            if self._error is not None:
                raise self._error
            time.sleep(0.1)
        return self.directory / name

    def stop(self) -> None:
        """End a running build; what was finished stays."""
        self._stopped = True
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        try:
            if not self.complete:
                with self._lock_file.open("w") as lock:
                    self._wait_for(lock)
                    self._keep_manifests()
                    self._build_all(lock)
        except SandboxError as error:
            self._error = error
        except (OSError, subprocess.SubprocessError) as error:
            self._error = SandboxError(f"the build could not run: {error}", "see that the cache's disk has room")

    def _wait_for(self, lock: IO[str]) -> None:
        end = time.monotonic() + LOCK_DEADLINE_SECONDS
        while True:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
                return
            except BlockingIOError:
                if self._stopped or time.monotonic() > end:
                    raise SandboxError(f"another build holds {self._lock_file}", "wait for it to end, or end it, then try again") from None
                time.sleep(0.5)

    def _keep_manifests(self) -> None:
        for manifest in manifests(self._go_mod):
            target = self.directory / manifest.name
            if not target.exists():
                run_go(["go", "mod", "download", manifest.module], self._sources)
                directory = run_go(["go", "list", "-m", "-f", "{{.Dir}}", manifest.module], self._sources).strip()
                new = target.with_suffix(".new")
                shutil.copyfile(Path(directory) / manifest.path, new)
                new.replace(target)

    def _build_all(self, lock: IO[str]) -> None:
        pace = 1.0
        for binary in catalogue(self._go_mod):
            target = self.directory / binary.name
            if target.exists():
                # Another `up` may have built it while we waited for the lock.
                self._finished[binary.name].set()
                self._report(binary.name, 1.0)
                continue
            begun = time.monotonic()
            self._build(binary, target, lock, pace)
            # Faster or slower than the machine the times are from: a half of the news, since single ones vary.
            pace = (pace + (time.monotonic() - begun) / binary.typical_seconds) / 2
            self._finished[binary.name].set()
            self._report(binary.name, 1.0)

    def _build(self, binary: Binary, target: Path, lock: IO[str], pace: float) -> None:
        new = target.with_name(f".{target.name}.new")
        argv = ["go", "build", *BUILD_FLAGS, "-ldflags", binary.ldflags, "-o", str(new), binary.package]
        if shutil.which("setpriv"):
            # When `up` is killed the compiler goes with it.
            argv = ["setpriv", "--pdeathsig", "TERM", *argv]
        log = self.directory / f"{binary.name}.log"
        begun = time.monotonic()
        with log.open("wb") as output:
            # The child holds the lock too: whoever comes after a killed `up` waits until its compiler has ended.
            self._process = subprocess.Popen(
                argv,
                cwd=self._sources,
                env={**os.environ, **BUILD_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
            )
            while True:
                try:
                    code = self._process.wait(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    expected = max(binary.typical_seconds * pace, 1.0)
                    self._report(binary.name, min(0.99, (time.monotonic() - begun) / expected))
        if self._stopped:
            raise SandboxError("the build was stopped", "run `gsv-sandbox up` again: it goes on where it was")
        if code != 0:
            tail = log.read_text(errors="replace")[-2000:].strip()
            raise SandboxError(
                f"building {binary.name} failed ({code}):\n{tail}",
                f"mend what it names (no network to the Go module proxy? no disk?) and run `up` again; all of it: {log}",
            )
        new.replace(target)
        log.unlink(missing_ok=True)
