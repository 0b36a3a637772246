"""The right cluster: which environment this process serves, and whether the cluster it reaches is that environment's.

GSV_ENVIRONMENT chooses the environment. A change is allowed only on the cluster whose kube-system namespace has the UID that platform.yaml
binds to it, so that a kubeconfig that points elsewhere changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from gsv_ops.platform import spec
from gsv_ops.platform.spec import FROM_ENVIRONMENT, InvalidSpec, PlatformSpec

ENVIRONMENT_VARIABLE = "GSV_ENVIRONMENT"
IDENTITY_VARIABLE = "GSV_CLUSTER_IDENTITY"


class WrongCluster(Exception):
    """This process may not change the cluster it reaches; the message says what does not fit and how to mend it."""


@dataclass(frozen=True)
class Binding:
    """An environment and the cluster it is bound to, as configured (not yet compared with a live cluster)."""

    environment: str | None
    expected_identity: str | None
    automation: bool
    spec: PlatformSpec

    def check(self, live_identity: str) -> None:
        """Raise WrongCluster unless `live_identity` (the UID of the kube-system namespace) is the one this environment is bound to."""
        if self.environment is None:
            raise WrongCluster(
                f"{ENVIRONMENT_VARIABLE} is not set, so no cluster may be changed; expected one of the environments of platform.yaml. "
                f"Set it where the code location is started, for example {ENVIRONMENT_VARIABLE}=dev."
            )
        if not self.expected_identity:
            raise WrongCluster(
                f"environment {self.environment!r} is bound to no cluster yet, so nothing may be changed; "
                f"this cluster's identity is {live_identity}. "
                f"If it is the right one, write it to platform.yaml as environments.{self.environment}.cluster_identity, "
                f"or where that says {FROM_ENVIRONMENT}, set {IDENTITY_VARIABLE}."
            )
        if live_identity != self.expected_identity:
            raise WrongCluster(
                f"this is not the cluster of environment {self.environment!r}: its kube-system namespace has UID {live_identity}, "
                f"expected {self.expected_identity}. "
                f"Check the kubeconfig's context (GSV_KUBECONFIG, KUBECONFIG) against {ENVIRONMENT_VARIABLE}."
            )


def binding(environ: Mapping[str, str] = os.environ) -> Binding:
    """The binding that the process's environment variables choose. Raises InvalidSpec for an unknown environment."""
    name = environ.get(ENVIRONMENT_VARIABLE) or None
    if name is None:
        return Binding(None, None, automation=False, spec=spec.load(None))
    known = spec.environments(spec.read())
    if name not in known:
        raise InvalidSpec(f"{ENVIRONMENT_VARIABLE}={name!r} is not in platform.yaml; it names {', '.join(sorted(known))}")
    chosen = known[name]
    identity = environ.get(IDENTITY_VARIABLE) if chosen.cluster_identity == FROM_ENVIRONMENT else chosen.cluster_identity
    return Binding(name, identity or None, chosen.automation, spec.load(name))
