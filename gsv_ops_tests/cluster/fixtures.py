"""What the cluster tier runs on: the sandbox, under its writer, and a desk of the tests' own beside whatever desk the user has."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import yaml
from gsv_sandbox import desk
from gsv_sandbox.runs import Run
from gsv_sandbox.state import Paths, paths_from

from gsv_ops.platform import spec
from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, ADesk
from gsv_ops_tests.cluster.outside import CLUSTER, Outside, until
from gsv_ops_tests.cluster.restored import Seen, proof_seen
from gsv_ops_tests.cluster.watch import Watch

UP_SECONDS = 1800
"""Cold, everything is compiled."""
# Deadlines that a test can wait for. What they are about is the same.
LIMITS = {
    "backup": {"start_seconds": 60, "run_seconds": 120, "archive_seconds": 45},
    "fingerprint": {"slot_seconds": 12},
    "proof": {"recovery_seconds": 200},
}
HURRIED = "cmp_postgres_hurried"
CLASH = "archive-clash"
PASSWORDS = {"cmp-postgres-gsv-ops": "password", "cmp-postgres-app": "password", "cmp-postgres-s3": "ACCESS_SECRET_KEY"}
"""Every Secret that an operation reads or a cluster uses, and the key in it."""


@pytest.fixture(scope="session")
def sandbox() -> Paths:
    """The sandbox, up and healthy, with its dataset, and the writer at work."""
    environment = {name: value for name, value in os.environ.items() if name not in ("GSV_KUBECONFIG", "KUBECONFIG")}
    try:
        if _sandbox(environment, "status").returncode != 0:
            done = _sandbox(environment, "up", "--provider", "native")
            if done.returncode != 0:
                _without(done.stderr)
        started = _sandbox(environment, "writer", "start")
        if started.returncode != 0:
            _without(started.stderr)
    except subprocess.TimeoutExpired as problem:
        _without(f"the sandbox is not up after {problem.timeout:.0f} s")
    return paths_from(environment)


@pytest.fixture(scope="session")
def outside(sandbox: Paths) -> Iterator[Outside]:
    """An administrator's view."""
    found = Outside(sandbox.kubeconfig("admin"), sandbox.data / "s3" / CLUSTER)
    until(found.healthy, 180, f"{CLUSTER} to be healthy")
    yield found
    found.close()


@pytest.fixture(scope="session")
def platform_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's platform.yaml with deadlines that a test can wait for; and, as databases, a hurried cmp-postgres and the clash."""
    body = yaml.safe_load(spec.PLATFORM_FILE.read_text())
    body["environments"]["sandbox"]["automation"] = False  # nothing here happens by itself
    body["reports"]["leftovers"]["settle_seconds"] = 1
    ours = body["databases"]["cmp_postgres"]
    for part, limits in LIMITS.items():
        ours[part] |= limits
    body["databases"][HURRIED] = {**ours, "backup": {**ours["backup"], "archive_seconds": 8}}
    body["databases"]["archive_clash"] = {**ours, "cluster": CLASH}
    file = tmp_path_factory.mktemp("platform") / "platform.yaml"
    file.write_text(yaml.safe_dump(body, sort_keys=False))
    return file


@pytest.fixture(scope="session")
def desk_environment(sandbox: Paths, outside: Outside, platform_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the desk's processes are started with: a port and a home of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("GSV_", "DAGSTER_", "KUBECONFIG"))}
    kept = {name: os.environ[name] for name in ("GSV_SANDBOX_STATE", "GSV_SANDBOX_CACHE") if name in os.environ}
    return {
        **plain,
        **kept,
        "GSV_ENVIRONMENT": "sandbox",
        "GSV_CLUSTER_IDENTITY": outside.core.read_namespace("kube-system").metadata.uid,
        "GSV_KUBECONFIG": str(sandbox.kubeconfig("operator")),
        "GSV_PLATFORM_FILE": str(platform_file),
        desk.HOME_VARIABLE: str(tmp_path_factory.mktemp("desk")),
        desk.PORT_VARIABLE: str(_free_port()),
    }


@pytest.fixture(scope="session")
def a_desk(desk_environment: dict[str, str], outside: Outside) -> Iterator[ADesk]:
    """The desk, up; down again at the end."""
    try:
        desk.up(desk_environment)
        yield ADesk(desk_environment, desk.home(desk_environment))
    finally:
        desk.down(desk_environment)


@pytest.fixture(scope="session")
def watch(a_desk: ADesk, outside: Outside) -> Iterator[Watch]:
    """Looks for the passwords in the desk's processes from now on."""
    secrets = {f"Secret {name}, {key}": outside.secret(name)[key] for name, key in PASSWORDS.items()}
    found = Watch(a_desk.home / "dagster", secrets)
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def first_backup(a_desk: ADesk, watch: Watch) -> Run:
    """A backup that several tests look at, taken while the writer writes."""
    run = a_desk.backup()
    assert run.status == "SUCCESS", run.failure
    assert BACKUP_ASSET in run.materialized
    return run


@pytest.fixture(scope="session")
def backup_name(first_backup: Run) -> str:
    """The name of its Backup."""
    name: str = first_backup.materialized[BACKUP_ASSET]["backup"]
    return name


@pytest.fixture(scope="session")
def first_proof(a_desk: ADesk, outside: Outside, backup_name: str) -> Seen:
    """The proof of it, looked at from outside on the way."""
    return proof_seen(a_desk, outside, backup_name)


def _sandbox(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "gsv_sandbox.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=UP_SECONDS, check=False)


def _without(reason: str) -> NoReturn:
    message = f"CLUSTER TESTS NOT RUN: no sandbox here: {reason.strip()[-500:]}"
    if os.environ.get("GSV_REQUIRE_CLUSTER") == "1":
        pytest.fail(message)
    pytest.skip(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
