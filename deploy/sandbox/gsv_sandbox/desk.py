"""The desk on this machine: Dagster's webserver and daemon as plain processes, pointed at the sandbox or at the cluster of the environment.

    python -m gsv_sandbox.desk up | down | status

Where GSV_ENVIRONMENT is set, the desk serves the environment and the cluster that the variables in TARGET name; otherwise it serves the
sandbox. What is set of SETTINGS goes with either.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from gsv_sandbox import provider
from gsv_sandbox.api import Api
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.processes import Processes, Service, base_environment
from gsv_sandbox.state import Paths, paths_from

PROJECT = Path(__file__).resolve().parents[3]
HOME_VARIABLE = "GSV_DESK_HOME"
PORT_VARIABLE = "GSV_DESK_PORT"
TARGET = ("GSV_ENVIRONMENT", "GSV_CLUSTER_IDENTITY", "GSV_KUBECONFIG", "KUBECONFIG")
SETTINGS = (
    *("GSV_PLATFORM_FILE", "GSV_EVIDENCE_ROOT", "GSV_UNDO_ROOT"),
    *("GSV_ALERTMANAGER_URL", "GSV_WEBHOOK_URL", "GSV_WEBHOOK_TOKEN", "GSV_DESK_URL"),
)
# What a kubeconfig's login plugin and a record root in a cloud need to find their own settings; no secret is among them.
FROM_HERE = ("HOME", "AWS_PROFILE", "AWS_REGION", "AWS_CONFIG_FILE", "CLOUDSDK_CONFIG", "AZURE_CONFIG_DIR", "HTTPS_PROXY", "NO_PROXY")
DEFAULT_PORT = 3000
START_SECONDS = 90.0
HEALTH = """
{
  instance { daemonHealth { allDaemonStatuses { required healthy } } }
  workspaceOrError {
    ... on Workspace {
      locationEntries { locationOrLoadError { __typename ... on PythonError { message errorChain { error { message } } } } }
    }
  }
}
"""
SANDBOX = "sandbox"
WEBSERVER, DAEMON = "webserver", "daemon"


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """The desk's own folder: Dagster's storage, the evidence, the logs."""
    return Path(environment.get(HOME_VARIABLE) or PROJECT / ".gsv")


def url(environment: Mapping[str, str] = os.environ) -> str:
    """Where the UI is."""
    return f"http://127.0.0.1:{int(environment.get(PORT_VARIABLE) or DEFAULT_PORT)}"


def sandbox_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that point gsv_ops at the sandbox. Raises SandboxError if it is not up."""
    sandbox = paths_from(environment)
    operator = sandbox.kubeconfig("operator")
    if not operator.exists():
        raise SandboxError("the sandbox is not up", "run `make up`, or set GSV_ENVIRONMENT and GSV_KUBECONFIG for a cluster of your own")
    found = provider.make(provider.Choice("native", "its state is here"), environment, sandbox, Console(quiet=True))
    namespace = Api(found.kubeconfig("admin")).get("v1", "Namespace", "kube-system")
    if namespace is None:
        raise SandboxError("the sandbox's cluster does not answer", "run `make up` again")
    return {
        "GSV_ENVIRONMENT": "sandbox",
        "GSV_CLUSTER_IDENTITY": namespace["metadata"]["uid"],
        "GSV_KUBECONFIG": str(operator),
    }


def services(environment: Mapping[str, str] = os.environ) -> tuple[Service, Service]:
    """The webserver and the daemon, with everything they need in their environment."""
    here = home(environment)
    # runs, journals and pages of one environment are never shown to, nor released by, another's desk
    other = environment.get("GSV_ENVIRONMENT") or SANDBOX
    dagster_home = here / ("dagster" if other == SANDBOX else f"dagster-{other}")
    dagster_home.mkdir(parents=True, exist_ok=True)
    settings = dagster_home / "dagster.yaml"
    settings.unlink(missing_ok=True)
    settings.symlink_to(PROJECT / "dagster.yaml")
    # a process of ours gets nothing of the caller's environment but what is named
    settings_given = {name: environment[name] for name in (*SETTINGS, *FROM_HERE) if environment.get(name)}
    chosen = {name: environment[name] for name in TARGET if environment.get(name)}
    target = chosen if chosen.get("GSV_ENVIRONMENT") else sandbox_environment(environment)
    variables = {**settings_given, **target, "DAGSTER_HOME": str(dagster_home)}
    binaries = Path(sys.executable).parent
    workspace = ("-w", str(PROJECT / "workspace.yaml"))
    host, port = url(environment).removeprefix("http://").split(":")
    configuration = (PROJECT / "dagster.yaml").read_text()
    return (
        Service(WEBSERVER, (str(binaries / "dagster-webserver"), *workspace, "-h", host, "-p", port), variables, configuration),
        Service(DAEMON, (str(binaries / "dagster-daemon"), "run", *workspace), variables, configuration),
    )


def up(environment: Mapping[str, str] = os.environ) -> str:
    """Start what does not run yet and wait until the UI answers and the daemon is well; the UI's address."""
    processes = _processes(environment)
    webserver, daemon = services(environment)
    _make_storage(webserver)
    for service in (webserver, daemon):
        processes.start(service)
    processes.wait_for(WEBSERVER, "the webserver to answer", lambda: _answers(url(environment)), START_SECONDS)
    processes.wait_for(DAEMON, "the daemon to be well", lambda: _well(environment), START_SECONDS)
    return url(environment)


def down(environment: Mapping[str, str] = os.environ) -> None:
    """Stop both; runs that are going on end with them. The folder stays."""
    processes = _processes(environment)
    for name in (WEBSERVER, DAEMON):
        processes.stop(name, grace=30)


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m gsv_sandbox.desk", description="The desk on this machine.")
    parser.add_argument("command", choices=("up", "down", "status"))
    command = parser.parse_args().command
    try:
        if command == "up":
            print(f"the desk is at {up()}; stop it with `make down`")
        elif command == "down":
            down()
            print("the desk is stopped")
        else:
            processes = _processes(os.environ)
            for name in (WEBSERVER, DAEMON):
                print(f"{name}: {'runs, pid ' + str(processes.pid(name)) if processes.pid(name) else 'does not run'}")
    except SandboxError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def ask(query: str, variables: Mapping[str, object] | None = None, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The `data` of one GraphQL request to the webserver. Raises SandboxError with the server's own words."""
    body = json.dumps({"query": query, "variables": dict(variables or {})}).encode()
    request = urllib.request.Request(f"{url(environment)}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310  always http
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found = json.load(answer)
    except urllib.error.HTTPError as refused:
        found = json.load(refused)  # Dagster answers an error of its own with status 500 and a JSON body
    except OSError as problem:
        raise SandboxError(f"the desk at {url(environment)} does not answer: {problem}", "run `make ui`") from None
    if found.get("errors"):
        raise SandboxError(f"the webserver refused: {found['errors'][0].get('message')}", "is the desk of this version running?")
    data: dict[str, Any] = found["data"]
    return data


def _processes(environment: Mapping[str, str]) -> Processes:
    paths = Paths(root=home(environment), cache=paths_from(environment).cache)
    for folder in (paths.root, paths.logs, paths.run):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Processes(paths)


def _make_storage(service: Service) -> None:
    """Dagster's databases, made by one process: several that start on an empty folder at once break each other's schema."""
    home = service.environment["DAGSTER_HOME"]
    command = (str(Path(sys.executable).with_name("dagster")), "instance", "info")
    environment = {**base_environment(), **service.environment}
    try:
        made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise SandboxError(
            f"Dagster's storage in {home} could not be opened within {START_SECONDS:.0f} s", "is its disk slow or full?"
        ) from None
    if made.returncode != 0:
        said = (made.stderr.strip() or made.stdout.strip()).rpartition("\n")[2]
        raise SandboxError(f"Dagster's storage in {home} cannot be used: {said}", "move the folder away to start with an empty one")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def _well(environment: Mapping[str, str]) -> bool:
    try:
        data = ask(HEALTH, environment=environment)
    except SandboxError:
        return False
    entries = data["workspaceOrError"].get("locationEntries", [])
    for entry in entries:
        failure = entry["locationOrLoadError"]
        if failure and failure["__typename"] == "PythonError":
            said = [failure["message"], *(link["error"]["message"] for link in failure["errorChain"])]  # the cause is the last
            raise SandboxError(f"gsv_ops cannot be loaded: {' '.join(said[-1].split())}", "mend it and run `make ui` again")
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return bool(entries) and all(status["healthy"] for status in statuses if status["required"])


if __name__ == "__main__":
    sys.exit(main())
