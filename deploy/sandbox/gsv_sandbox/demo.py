"""From nothing to a proven backup: the sandbox, its data, a writer, the desk, a backup and the proof of it.

python -m gsv_sandbox.demo
"""

from __future__ import annotations

import sys
import time

from rich.console import Console

from gsv_sandbox import cli, desk, runs
from gsv_sandbox.errors import SandboxError

BACKUP_SECONDS = 900
PROOF_SECONDS = 1800
PROOF_ASSET = "database/cmp_postgres/proof"


def main() -> int:
    """Run the demo; the last lines say what was proven, where the UI is, and how to stop."""
    console = Console()
    try:
        for command in (["up", "--provider", "native"], ["seed"], ["writer", "start"]):
            if cli.main(command) != 0:
                return 1
        address = desk.up()
        console.print(f"the desk is at {address}")
        _launch(console, address, "backup_database", BACKUP_SECONDS)
        proof = _launch(console, address, "prove_backup", PROOF_SECONDS).materialized[PROOF_ASSET]
    except SandboxError as problem:
        console.print(str(problem), style="red", markup=False)
        return 1
    print(
        f"demo: proven: {proof['rows']} rows in {proof['tables']} tables equal at LSN {proof['target LSN']}; "
        f"recovered in {proof['recovery in seconds']} s"
    )
    print(f"The desk is at {address}/assets/database/cmp_postgres/proof; the writer goes on writing. Stop everything with `make down`.")
    return 0


def _launch(console: Console, address: str, job: str, seconds: float) -> runs.Run:
    run = runs.launch(job)
    console.print(f"{job}: {address}/runs/{run.run_id}")
    begun = time.monotonic()
    with console.status(f"{job} ..."):
        runs.follow(run, seconds, lambda line: console.print(f"  {time.monotonic() - begun:5.0f} s  {line}", markup=False, highlight=False))
    if run.status != "SUCCESS":
        raise SandboxError(f"{job} ended as {run.status}: {run.failure or 'no step said why'}", f"look at {address}/runs/{run.run_id}")
    return run


if __name__ == "__main__":
    sys.exit(main())
