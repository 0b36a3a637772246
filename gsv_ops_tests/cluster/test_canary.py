"""The passwords of every Secret involved are found nowhere: Dagster's storage, logs, evidence, temporary files, arguments, environments."""

import base64
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.outside import Outside
from gsv_ops_tests.cluster.restored import Seen, scratch_of
from gsv_ops_tests.cluster.watch import Watch

pytestmark = pytest.mark.cluster

LARGEST = 64 * 2**20


def forms(secret: str) -> set[bytes]:
    """The ways a secret could be written down."""
    raw = secret.encode()
    return {raw, base64.b64encode(raw), base64.b64encode(raw).rstrip(b"="), quote(secret, safe="").encode()}


def content(file: Path) -> Iterator[bytes]:
    """A file's bytes; of a SQLite database every value, whole, since its pages may cut one in two."""
    with suppress(OSError):
        if file.stat().st_size > LARGEST or not file.is_file():
            return
        raw = file.read_bytes()
        yield raw
        if raw.startswith(b"SQLite format 3"):
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
                    for row in database.execute(f'select * from "{table}"'):
                        for value in row:
                            whole = value if isinstance(value, bytes) else str(value).encode()
                            yield whole
                            with suppress(zlib.error):
                                yield zlib.decompress(whole)


def where(files: list[Path], wanted: set[bytes]) -> set[str]:
    """The files that hold one of them."""
    return {str(file) for file in files if any(form in part for part in content(file) for form in wanted)}


def below(folder: Path, since: float = 0) -> list[Path]:
    """Every regular file below a folder that was written since."""
    found = []
    for parent, _, names in os.walk(folder, onerror=lambda _: None):
        for name in names:
            file = Path(parent, name)
            with suppress(OSError):
                if file.is_file() and not file.is_symlink() and file.stat().st_mtime >= since:
                    found.append(file)
    return found


def test_no_password_is_found_anywhere(a_desk: ADesk, outside: Outside, watch: Watch, first_backup: Run, first_proof: Seen) -> None:
    """After a backup and a proof; the arguments and environments of their processes were looked at while they went on."""
    assert first_proof.run.status == "SUCCESS", first_proof.run.failure
    ours = below(a_desk.home)
    fresh = below(Path("/tmp"), watch.begun)  # noqa: S108  what a careless program writes is looked for there
    # The search itself must be able to find: what the run said of itself, in the database and in the evidence.
    shown = where(ours, {scratch_of(first_proof.run).encode()})
    assert any(name.endswith(".db") for name in shown), "the search does not see into Dagster's storage"
    assert any("/evidence/" in name for name in shown)
    assert any("compute_logs" in str(file) for file in ours), "no compute log was kept, so none was searched"
    assert {"webserver.log", "daemon.log"} <= {file.name for file in ours}
    assert watch.processes_seen > 4
    secrets = watch.secrets
    assert len(secrets) == 3
    for name, value in secrets.items():
        found = where([*ours, *fresh], forms(value))
        assert not found, f"the password of {name} is in {found}"
    assert not watch.found, f"while runs went on: {watch.found}"


def test_the_watch_sees_a_password_that_is_passed_on(watch: Watch, a_desk: ADesk) -> None:
    """Else its silence would mean nothing: a process of the desk's with one in its arguments, and one in its environment."""
    import subprocess

    secret = next(iter(watch.secrets.values()))
    home = {"DAGSTER_HOME": str(a_desk.home / "dagster"), "PATH": os.environ["PATH"]}
    script = "import sys; sys.stdin.read()"
    import sys

    for arguments, environment in (([secret], {}), ([], {"PGPASSWORD": secret})):
        with subprocess.Popen([sys.executable, "-c", script, *arguments], env={**home, **environment}, stdin=subprocess.PIPE) as process:
            sees = watch.look()
            process.communicate(timeout=10)
        assert sees, (arguments, environment)
