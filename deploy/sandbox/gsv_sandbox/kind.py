"""kind, where a Docker engine answers: its configuration and the command. Not exercised by this project's tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from gsv_sandbox.addresses import POD_RANGE, SERVICE_RANGE
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.machine import run
from gsv_sandbox.state import Paths

NAME = "gsv-sandbox"
NODE_IMAGE = "kindest/node:v1.36.3"


class Kind:
    """The provider `kind`."""

    name = "kind"

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def kubeconfig(self, identity: str) -> Path:
        """kind makes one identity, its administrator."""
        return self._paths.kubeconfig("kind")

    def up(self, *, seed: bool = True) -> None:
        """Write the configuration and say what is to be run: this provider is shipped, not automated."""
        self._paths.make()
        file = self._paths.config / "kind.yaml"
        file.write_text(configuration())
        raise SandboxError(
            f"a Docker engine answers, and kind is prepared but not automated; its configuration is {file}",
            f"run: {command(file, self.kubeconfig('admin'))}; install CloudNativePG, the Barman Cloud plugin, "
            "cert-manager and an S3 store there, apply deploy/gitops, and set GSV_KUBECONFIG to its kubeconfig. "
            "Or, as root on Linux, force the sandbox built from source: `gsv-sandbox up --provider native`",
        )

    def down(self, *, purge: bool = False) -> None:
        """Delete kind's cluster of our name, where kind is installed."""
        if shutil.which("kind"):
            run("kind", "delete", "cluster", "--name", NAME, timeout=300)

    def components(self) -> list[tuple[str, int | None]]:
        return []

    def health(self) -> list[tuple[str, bool, str]]:
        return [("kind", False, "ask it itself: kind get clusters")]


def configuration() -> str:
    """kind's own configuration for a cluster like the sandbox."""
    return yaml.safe_dump(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "name": NAME,
            "networking": {"podSubnet": POD_RANGE, "serviceSubnet": SERVICE_RANGE, "kubeProxyMode": "nftables"},
            "nodes": [{"role": "control-plane", "image": NODE_IMAGE}],
        },
        sort_keys=False,
    )


def command(file: Path, kubeconfig: Path) -> str:
    """The command that makes the cluster."""
    return f"kind create cluster --config {file} --kubeconfig {kubeconfig} --wait 3m"
