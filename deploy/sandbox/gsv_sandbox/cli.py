"""gsv-sandbox: a real Kubernetes with a real CloudNativePG on one machine, up, down and everything between."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import urllib3
from kubernetes.client.exceptions import ApiException
from rich.console import Console
from rich.table import Table

from gsv_sandbox import cgroups, database, provider
from gsv_sandbox.api import Api
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.processes import Processes
from gsv_sandbox.state import Paths, paths_from

IDENTITIES = ("operator", "readonly", "admin")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done, or well; 1: failed, or not well, with the reason on standard error."""
    arguments = parser().parse_args(argv)
    try:
        paths = paths_from(os.environ)
        return int(COMMANDS[arguments.command](arguments, paths))
    except SandboxError as error:
        print(f"gsv-sandbox {arguments.command}: {error}", file=sys.stderr)
        return 1
    except ApiException as error:
        print(f"gsv-sandbox {arguments.command}: the API refused: {error.status} {error.reason}", file=sys.stderr)
        return 1
    except urllib3.exceptions.HTTPError as error:
        print(f"gsv-sandbox {arguments.command}: the API stopped answering ({type(error).__name__})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"gsv-sandbox {arguments.command}: interrupted; run it again to go on", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="gsv-sandbox", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring everything up, or mend what died; seconds when all is well")
    up.add_argument("--provider", choices=provider.NAMES, help="instead of the first that fits")
    up.add_argument("--no-seed", action="store_true", help="leave agent_registry empty")
    down = commands.add_parser("down", help="end and remove everything the sandbox made on this machine")
    down.add_argument("--provider", choices=provider.NAMES, help="instead of the first that fits")
    down.add_argument("--purge", action="store_true", help="remove the built binaries and images too")
    commands.add_parser("status", help="what runs, and whether it is well (exit code 1 when not)")
    logs = commands.add_parser("logs", help="a component's log")
    logs.add_argument("name", help="etcd, kube-apiserver, kubelet, containerd, s3, writer ... (see status)")
    logs.add_argument("--lines", type=int, default=100, help="how many of the last lines (100)")
    kubeconfig = commands.add_parser("kubeconfig", help="print a kubeconfig's path")
    kubeconfig.add_argument("identity", nargs="?", choices=IDENTITIES, default="operator", help="whose (operator)")
    commands.add_parser("env", help='shell exports: eval "$(gsv-sandbox env)"')
    seed = commands.add_parser("seed", help="fill agent_registry with the dataset")
    seed.add_argument("--scale", type=float, default=1.0, help="a factor on the number of rows (1.0)")
    writer = commands.add_parser("writer", help="the process that keeps changing agent_registry")
    writer.add_argument("action", choices=("start", "stop", "status"))
    writer.add_argument("--rate", type=float, default=database.WRITER_RATE, help="statements per second (20)")
    return top


def _up(arguments: argparse.Namespace, paths: Paths) -> int:
    console = Console()
    found = _provider(arguments.provider, paths, console)
    found.up(seed=not arguments.no_seed)
    console.print(f"cmp-postgres is ready. kubeconfig: {found.kubeconfig('operator')}", highlight=False)
    return 0


def _down(arguments: argparse.Namespace, paths: Paths) -> int:
    console = Console()
    found = _provider(arguments.provider, paths, console)
    found.down(purge=arguments.purge)
    done = "The sandbox is down; nothing of it is left on this machine."
    console.print("Nothing was done: the cluster is yours." if found.name == "existing" else done, highlight=False)
    return 0


def _status(_: argparse.Namespace, paths: Paths) -> int:
    console = Console()
    found = _provider(None, paths, console)
    table = Table("component", "pid", "state")
    components = found.components()
    for name, pid in components:
        optional = name == database.WRITER
        state = "runs" if pid else ("not started" if optional else "[red]does not run[/red]")
        table.add_row(name, str(pid or "-"), state)
    health = found.health()
    for what, well, seen in health:
        table.add_row(what, "", f"{'well' if well else '[red]not well[/red]'}: {seen}")
    console.print(table)
    dead = [name for name, pid in components if pid is None and name != database.WRITER]
    return 0 if not dead and all(well for _, well, _ in health) else 1


def _logs(arguments: argparse.Namespace, paths: Paths) -> int:
    processes = Processes(paths)
    if not processes.log(arguments.name).exists():
        known = ", ".join(sorted(file.stem for file in paths.logs.glob("*.log"))) or "none yet"
        raise SandboxError(f"there is no log of {arguments.name}", f"there are: {known}")
    print(processes.tail(arguments.name, arguments.lines))
    return 0


def _kubeconfig(arguments: argparse.Namespace, paths: Paths) -> int:
    print(_quiet(paths).kubeconfig(arguments.identity))
    return 0


def _env(_: argparse.Namespace, paths: Paths) -> int:
    found = _quiet(paths)
    namespace = _api(found).get("v1", "Namespace", "kube-system")
    if namespace is None:
        raise SandboxError("the cluster has no namespace kube-system", "is it a Kubernetes?")
    print(f"export KUBECONFIG={found.kubeconfig('admin')}")
    print(f"export GSV_KUBECONFIG={found.kubeconfig('operator')}")
    print("export GSV_ENVIRONMENT=sandbox")
    print(f"export GSV_CLUSTER_IDENTITY={namespace['metadata']['uid']}")
    return 0


def _seed(arguments: argparse.Namespace, paths: Paths) -> int:
    database.seed(_api(_native(paths)), arguments.scale)
    return 0


def _writer(arguments: argparse.Namespace, paths: Paths) -> int:
    processes = Processes(paths, cgroups.components())
    if arguments.action == "start":
        started = database.start_writer(paths, processes, _api(_native(paths)), arguments.rate)
        print("the writer was started" if started else "the writer runs already; to change its rate, stop it first")
    elif arguments.action == "stop":
        processes.stop(database.WRITER)
        print("the writer is stopped")
    else:
        pid = processes.pid(database.WRITER)
        print(f"the writer runs, pid {pid}" if pid else "the writer does not run")
        return 0 if pid else 1
    return 0


COMMANDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "logs": _logs,
    "kubeconfig": _kubeconfig,
    "env": _env,
    "seed": _seed,
    "writer": _writer,
}


def _provider(forced: str | None, paths: Paths, console: Console) -> provider.Provider:
    choice = provider.choose(forced, provider.look_around(os.environ, paths), paths)
    console.print(f"Provider: {choice.name}, because {choice.reason}.", highlight=False)
    return provider.make(choice, os.environ, paths, console)


def _quiet(paths: Paths) -> provider.Provider:
    """The provider without a word on standard output, which is read by a shell."""
    return _provider(None, paths, Console(stderr=True, quiet=True))


def _native(paths: Paths) -> provider.Provider:
    """The sandbox that is ours to write to: the dataset must never land in a user's own cluster."""
    found = _quiet(paths)
    if found.name != "native":
        raise SandboxError(f"the provider is {found.name}", "only a sandbox of ours is seeded: `--provider native`")
    return found


def _api(found: provider.Provider) -> Api:
    file = found.kubeconfig("admin")
    if not file.exists():
        raise SandboxError(f"there is no kubeconfig {file}", "run `gsv-sandbox up`")
    api = Api(file)
    if not api.ready():
        raise SandboxError("the cluster's API does not answer", "run `gsv-sandbox up`")
    return api


if __name__ == "__main__":
    sys.exit(main())
