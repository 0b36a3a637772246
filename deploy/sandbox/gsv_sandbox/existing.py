"""A cluster that the user names with GSV_KUBECONFIG: looked at, never changed."""

from __future__ import annotations

from pathlib import Path

import urllib3
from kubernetes.client.exceptions import ApiException

from gsv_sandbox import platform
from gsv_sandbox.api import Api
from gsv_sandbox.errors import SandboxError


class Existing:
    """The provider `existing`."""

    name = "existing"

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def kubeconfig(self, identity: str) -> Path:
        """The user's own kubeconfig, whatever the identity: we make none on a cluster that is not ours."""
        return self._kubeconfig

    def up(self, *, seed: bool = True) -> None:
        """Check that what the operations need is there. Nothing is made and nothing is seeded."""
        missing = [f"{what} ({seen})" for what, well, seen in self.health() if not well]
        if missing:
            raise SandboxError(
                f"the cluster of {self._kubeconfig} is not ready: {', '.join(missing)}",
                "mend it, or unset GSV_KUBECONFIG to get a sandbox on this machine",
            )

    def down(self, *, purge: bool = False) -> None:
        """Nothing: the cluster is not ours."""

    def components(self) -> list[tuple[str, int | None]]:
        return []

    def health(self) -> list[tuple[str, bool, str]]:
        """(what, whether it is well, what is seen) of the API, CloudNativePG's API and cmp-postgres."""
        try:
            api = Api(self._kubeconfig)
            if not api.ready():
                return [("API", False, "does not answer")]
            served = {group["name"] for group in api.request("GET", "/apis")["groups"]}
            found = [("API", True, "answers")]
            for group in ("postgresql.cnpg.io", "barmancloud.cnpg.io"):
                found.append((group, group in served, "served" if group in served else "not served"))
            if all(well for _, well, _ in found):
                cluster = platform.cluster(api)
                phase = str((cluster or {}).get("status", {}).get("phase", "absent"))
                found.append((platform.CLUSTER, platform.is_healthy(cluster), phase))
        except ApiException as error:
            return [("API", False, f"refused: {error.status} {error.reason}")]
        except urllib3.exceptions.HTTPError as error:
            return [("API", False, type(error).__name__)]
        return found
