"""The sandbox from source: a real one-node Kubernetes with a real CloudNativePG, as plain processes on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import urllib3
from kubernetes.client.exceptions import ApiException
from rich.console import Console

from gsv_sandbox import (
    binaries,
    cgroups,
    control_plane,
    database,
    debian,
    machine,
    metrics,
    network,
    node,
    objectstore,
    operators,
    pki,
    platform,
    preflight,
    strays,
)
from gsv_sandbox.addresses import API_URL, NODE_NAME
from gsv_sandbox.api import Api, condition
from gsv_sandbox.catalogue import METRICS_SERVER, SOURCES, catalogue
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.processes import Processes
from gsv_sandbox.progress import Display
from gsv_sandbox.state import Paths, only_one

# From the outside in: what would start others again goes first, the API last, so that it can still be asked.
STOP_ORDER = (
    database.WRITER,
    metrics.NAME,
    operators.PROVISIONER,
    "kubelet",
    "kube-proxy",
    "coredns",
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    objectstore.NAME,
    "etcd",
)
# Its state is thrown away: there is nothing to wait for but a clean end of connections.
STOP_GRACE_SECONDS = 2.0

COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
    objectstore.NAME,
    operators.PROVISIONER,
    metrics.NAME,
)


class Native:
    """The provider `native`."""

    name = "native"

    def __init__(self, paths: Paths, console: Console) -> None:
        self._paths, self._console = paths, console
        self._processes = Processes(paths, cgroups.components())

    def kubeconfig(self, identity: str) -> Path:
        return self._paths.kubeconfig(identity)

    def up(self, *, seed: bool = True) -> None:
        """Bring everything up, or mend what died; ends when cmp-postgres is healthy. SandboxError says what failed."""
        with self._alone():
            self._check()
            with Display(self._console, (*catalogue((SOURCES / "go.mod").read_text()), METRICS_SERVER.binary)) as display:
                debian.ensure(display.say)
                if not self._ours():
                    preflight.check_network(self._paths)
                build = binaries.Build(self._paths.cache, display.built)
                build.start()
                try:
                    self._up(build, display, seed)
                finally:
                    build.stop()

    def down(self, *, purge: bool = False) -> None:
        """End and remove everything; with `purge` the cache of binaries and images too. SandboxError names what stays."""
        with self._alone():
            left = self._down()
            if left:
                raise SandboxError(
                    "not everything could be removed: " + "; ".join(left), "run `gsv-sandbox down` again; `dmesg` may say why"
                )
        if purge:
            shutil.rmtree(self._paths.cache, ignore_errors=True)

    def components(self) -> list[tuple[str, int | None]]:
        """(name, pid or None) of every component, the writer last."""
        return [(name, self._processes.pid(name)) for name in (*COMPONENTS, database.WRITER)]

    def health(self) -> list[tuple[str, bool, str]]:
        """(what, whether it is well, what is seen) of the API, the node, the operators and cmp-postgres."""
        file = self._paths.kubeconfig("admin")
        if not file.exists():
            return [("API", False, "the sandbox is not up")]
        api = Api(file)
        if not api.ready():
            return [("API", False, "does not answer")]
        found = [("API", True, API_URL)]
        try:
            found.append(("node", condition(api.get("v1", "Node", NODE_NAME), "Ready"), NODE_NAME))
            for name in (operators.OPERATOR, operators.PLUGIN):
                deployment = api.get("apps/v1", "Deployment", name, operators.NAMESPACE)
                found.append((name, condition(deployment, "Available"), operators.NAMESPACE))
            found.append(("metrics.k8s.io", metrics.available(api), metrics.API_SERVICE))
            cluster = platform.cluster(api)
            phase = str((cluster or {}).get("status", {}).get("phase", "absent"))
            found.append((platform.CLUSTER, platform.is_healthy(cluster), phase))
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            found.append(("API", False, f"answered and then did not: {type(error).__name__}"))
        return found

    def processes(self) -> Processes:
        return self._processes

    def _check(self) -> None:
        if not self._ours():
            preflight.check(self._paths)

    def _ours(self) -> bool:
        """Whether a sandbox of this state is (or was, before something was killed) on the machine."""
        return self._paths.machine_record.exists() and network.exists()

    def _up(self, build: binaries.Build, display: Display, seed: bool) -> None:
        paths, processes = self._paths, self._processes
        paths.make()
        machine.record_sysctls(paths)
        strays.record(paths)
        groups = cgroups.hierarchies()
        assert groups is not None, "preflight has seen control groups"
        cgroups.make(groups)
        network.up(paths.root)
        if pki.make_all(paths) and (paths.data / "etcd").exists():
            raise SandboxError("the cluster's certificates have ended", "run `gsv-sandbox down`, then `up`")
        containers = node.containerd_up(paths, processes)
        display.say("network, certificates and containerd are up")
        # Images that need no binary are made and imported while the compiler and the control plane are at work.
        with ThreadPoolExecutor(max_workers=3) as pool:
            from gsv_sandbox import images

            base = pool.submit(lambda: containers.load(images.base(paths.cache)))
            operand = pool.submit(lambda: containers.load(images.operand(paths.cache)))
            api = control_plane.up(paths, build, processes)
            display.say("the control plane is up")
            _result(base)
            node.up(paths, build, processes, api)
            display.say("the node is ready")
            built = build.require("cnpg-manager", "barman-plugin")
            operator = pool.submit(lambda: containers.load(images.operator(paths.cache, built)))
            plugin = pool.submit(lambda: containers.load(images.plugin(paths.cache, built)))
            crictl = pool.submit(lambda: containers.load(images.crictl(paths.cache, build.require("crictl"))))
            bodies = platform.overlay()
            platform.namespaces_up(api)
            operators.storage_up(paths, build.require(operators.PROVISIONER), processes, api)
            self._operators_up(api, build, operator, plugin)
            keys = objectstore.up(paths, build.require("s3"), processes, platform.buckets(bodies))
            platform.secrets_up(api, keys)
            operators.wait_available(api, operators.OPERATOR, operators.PLUGIN)
            display.say("CloudNativePG and the Barman Cloud plugin are up")
            if _result(operand):
                display.say("the PostgreSQL image is imported")
            _result(crictl)
            platform.database_up(api, bodies)
            # While the database comes up: built after all else, and nothing waits for it but the end.
            metrics.up(paths, binaries.build_addon(METRICS_SERVER, paths.cache, display.built), processes, api)
        platform.wait_healthy(api)
        database.wait_answers(api)
        # It may have been found in a state from before something was killed: asked again now that it answers.
        platform.wait_healthy(api)
        display.say("cmp-postgres is healthy")
        if seed:
            database.seed(api)
            display.say("agent_registry holds its dataset")
        metrics.wait_available(api, processes)
        display.say("metrics.k8s.io answers")

    def _operators_up(self, api: Api, build: binaries.Build, operator: Future[list[str]], plugin: Future[list[str]]) -> None:
        from gsv_sandbox import images

        text = build.manifest("cnpg.yaml").read_text()
        _result(operator)
        operators.apply(api, operators.OPERATOR, operators.operator_manifest(text, images.OPERATOR))
        text = build.manifest("barman-plugin.yaml").read_text()
        _result(plugin)
        operators.apply_plugin_certificates(api)
        operators.apply(api, operators.PLUGIN, operators.plugin_manifest(text, images.PLUGIN, images.SIDECAR))

    def _down(self) -> list[str]:
        """Take everything away in an order that lets nothing come back; what could not be taken away."""
        paths, processes, left = self._paths, self._processes, list[str]()
        found = strays.find(paths)
        for name in STOP_ORDER:
            processes.stop(name, STOP_GRACE_SECONDS)
        groups = cgroups.hierarchies()
        if groups is not None:
            # The pods' processes first: containerd still runs and sees them end, and its shims end with them.
            cgroups.kill_members(groups, below="kubepods")
        processes.stop("containerd")
        for name in processes.names():
            processes.stop(name)
        if groups is not None:
            left += [f"process {pid}" for pid in cgroups.kill_members(groups)]
        left += [f"mount {point}" for point in machine.unmount_below(paths.root)]
        left += network.down() if shutil.which("nft") and shutil.which("ip") else []
        machine.restore_sysctls(paths)
        if groups is not None:
            left += [f"control group {group}" for group in cgroups.remove(groups)]
        left += strays.remove(paths, found)
        if not left and paths.root.exists():
            # Only now: what is mounted below would be deleted with it, and may be anything of the machine's.
            shutil.rmtree(paths.root)
        return left

    @contextmanager
    def _alone(self) -> Iterator[None]:
        name = f"sandbox-{sha256(str(self._paths.root).encode()).hexdigest()[:8]}.lock"
        preflight.root()
        preflight.alone(self._paths)
        with only_one(self._paths.cache / name, "`gsv-sandbox up` or `down`"):
            yield


def _result(future: Future[list[str]]) -> list[str]:
    """What the task made; its own errors are turned into ours, with their text."""
    from gsv_sandbox.archive import ImageError

    try:
        return future.result()
    except (ImageError, RuntimeError, OSError) as error:
        raise SandboxError(f"an image could not be made or imported: {error}", "mend what it names, then `up` again") from None
