"""What the sandbox is built from: each binary's package, flags and usual build time, in the order they are needed.

Versions are read from go.mod, which is the one place that pins them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gsv_sandbox.errors import SandboxError

SOURCES = Path(__file__).resolve().parents[1] / "go"
ADDONS = SOURCES.with_name("addons")


@dataclass(frozen=True)
class Binary:
    """One binary: the package it is made from, its linker flags, and the seconds it took cold on two cores."""

    name: str
    package: str
    typical_seconds: float
    ldflags: str = "-s -w"


@dataclass(frozen=True)
class Manifest:
    """A file that a module carries and the sandbox applies: kept in the cache beside the binaries."""

    name: str
    module: str
    path: str


@dataclass(frozen=True)
class Addon:
    """A program whose own module would raise the core's libraries: built from its source with the core's versions instead.

    So its libraries are compiled already, and nothing of the core changes with it. `go.mod` and `go.sum` of the versions lie in
    ADDONS/<name>; `sum` is that of the module's source, as go.sum would have it.
    """

    binary: Binary
    module: str
    version: str
    sum: str

    @property
    def sources(self) -> Path:
        return ADDONS / self.binary.name


METRICS_SERVER = Addon(
    Binary("metrics-server", "./cmd/metrics-server", 6),
    "sigs.k8s.io/metrics-server",
    "v0.9.0",
    "h1:nlqqZ2H0Xfko8eJC/1qaNVVT17hu4rxndkOi22KTZ4w=",
)


def kubernetes_version(go_mod: str) -> str:
    """`v1.36.3` as go.mod pins it."""
    return pinned(go_mod, "k8s.io/kubernetes")


def catalogue(go_mod: str) -> tuple[Binary, ...]:
    """Every binary, in the order they are needed."""
    version = kubernetes_version(go_mod)
    minor = version.split(".")[1]
    kubernetes = (
        f"-s -w -X k8s.io/component-base/version.gitVersion={version}"
        f" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor={minor}"
    )
    operator = "github.com/cloudnative-pg/cloudnative-pg"
    operator_version = pinned(go_mod, operator).removeprefix("v")
    operator_flags = f"-s -w -X {operator}/pkg/versions.buildVersion={operator_version} -X {operator}/pkg/versions.buildCommit=module"
    return (
        Binary("etcd", "go.etcd.io/etcd/server/v3", 45),
        Binary("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 209, kubernetes),
        Binary("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", 61, kubernetes),
        Binary("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", 5, kubernetes),
        Binary("kubelet", "k8s.io/kubernetes/cmd/kubelet", 19, kubernetes),
        Binary("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", 8, kubernetes),
        Binary("coredns", "./coredns", 7),
        Binary("cnpg-manager", f"{operator}/cmd/manager", 27, operator_flags),
        Binary("barman-plugin", "github.com/cloudnative-pg/plugin-barman-cloud/cmd/manager", 10),
        Binary("crictl", "./crictl", 4),
        Binary("local-path-provisioner", "github.com/rancher/local-path-provisioner", 6),
        Binary("s3", "./s3", 40),
    )


def manifests(go_mod: str) -> tuple[Manifest, ...]:
    """The operators' own release manifests, which their modules carry."""
    operator = "github.com/cloudnative-pg/cloudnative-pg"
    version = pinned(go_mod, operator).removeprefix("v")
    return (
        Manifest("cnpg.yaml", operator, f"releases/cnpg-{version}.yaml"),
        Manifest("barman-plugin.yaml", "github.com/cloudnative-pg/plugin-barman-cloud", "manifest.yaml"),
    )


def required_go(go_mod: str) -> str:
    """The oldest Go that the module allows, such as `1.26.4`."""
    found = re.search(r"^go (\S+)$", go_mod, re.MULTILINE)
    assert found is not None, "go.mod has a go directive"
    return found[1]


def pinned(go_mod: str, module: str) -> str:
    """The version of a module that go.mod pins, such as `v1.30.0`. Raises SandboxError."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise SandboxError(f"go.mod does not require {module}", f"restore {SOURCES / 'go.mod'} from the repository")
    return found[1]
