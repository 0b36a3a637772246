"""What the tests take from Debian beside what the sandbox takes: a browser, a database server, an Alertmanager.

python -m gsv_sandbox.packages
"""

from __future__ import annotations

import sys
from pathlib import Path

from gsv_sandbox import debian
from gsv_sandbox.errors import SandboxError

# What must be there -> the Debian package that brings it.
FOR_TESTS = {
    "chromium": "chromium",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
    "prometheus-alertmanager": "prometheus-alertmanager",
}
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
POLICY = Path("/usr/sbin/policy-rc.d")
NO_SERVICE = "#!/bin/sh\n# While the tests' packages are installed no service of theirs is started.\nexit 101\n"


def ensure() -> None:
    """Install what is missing. No service of any package is started, and PostgreSQL makes no cluster of its own."""
    if not debian.missing_packages(FOR_TESTS):
        return
    made_policy = not POLICY.exists()
    try:
        if debian.is_debian():
            if not NO_CLUSTER.exists():
                NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
                NO_CLUSTER.write_text("create_main_cluster = false\n")
            if made_policy:
                POLICY.write_text(NO_SERVICE)
                POLICY.chmod(0o755)
        debian.ensure(lambda text: print(text, flush=True), needed=FOR_TESTS)
    finally:
        if made_policy:
            POLICY.unlink(missing_ok=True)


def main() -> int:
    """Install them, or say which are missing."""
    try:
        ensure()
    except SandboxError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
