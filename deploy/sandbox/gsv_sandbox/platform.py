"""The platform on the cluster: its namespaces, its Secrets, its identities, and cmp-postgres as the repository has it."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from gsv_sandbox import identities
from gsv_sandbox.api import Api, Body, condition, wait_until
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.objectstore import Keys
from gsv_sandbox.operators import explain_pods, failed_log
from gsv_sandbox.overlay import render

OVERLAY = Path(__file__).resolve().parents[2] / "gitops" / "platform" / "overlays" / "sandbox"
NAMESPACES = ("metallb-system", "traefik", "cert-manager", "external-dns", "argocd", "sso", "cmp", "observability")
NAMESPACE = "cmp"
CLUSTER = "cmp-postgres"
CLUSTER_API = "postgresql.cnpg.io/v1"
HEALTHY = "Cluster in healthy state"
HEALTHY_SECONDS = 300.0
# One failure may be a pod that was killed; three are the manifest.
FATAL_FAILURES = 3

STORE_SECRET = "cmp-postgres-s3"  # noqa: S105 - a Secret's name
OPERATOR_SECRET = "cmp-postgres-gsv-ops"  # noqa: S105 - a Secret's name
HEARTBEAT_SECRET = "cmp-postgres-heartbeat"  # noqa: S105 - a Secret's name
ROLES = {OPERATOR_SECRET: "gsv_ops", HEARTBEAT_SECRET: "gsv_heartbeat"}
"""The database roles whose passwords are made here, by their Secrets."""


def overlay() -> list[Body]:
    """The platform's manifests for the sandbox, from the repository's GitOps tree."""
    bodies: list[Body] = render(OVERLAY)
    return bodies


def buckets(bodies: list[Body]) -> set[str]:
    """The buckets that the manifests' ObjectStores write to."""
    paths = [b["spec"]["configuration"]["destinationPath"] for b in bodies if b["kind"] == "ObjectStore"]
    return {path.removeprefix("s3://").split("/")[0] for path in paths}


def namespaces_up(api: Api) -> None:
    """The platform's namespaces and who may do what in them."""
    for name in NAMESPACES:
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for body in identities.manifest():
        api.apply(body)


def secrets_up(api: Api, store: Keys) -> None:
    """The object store's keys and the database roles' passwords; a password that is there stays."""
    api.apply(_secret(STORE_SECRET, "Opaque", {"ACCESS_KEY_ID": store.access, "ACCESS_SECRET_KEY": store.secret}))
    for name, role in ROLES.items():
        if api.get("v1", "Secret", name, NAMESPACE) is None:
            values = {"username": role, "password": secrets.token_urlsafe(24)}
            api.apply(_secret(name, "kubernetes.io/basic-auth", values))


def database_up(api: Api, bodies: list[Body]) -> None:
    """Apply cmp-postgres and what belongs to it; it is healthy when wait_healthy says so."""
    for body in bodies:
        api.apply(body)


def wait_healthy(api: Api, deadline: float = HEALTHY_SECONDS) -> Body:
    """Wait until cmp-postgres is Ready and in its healthy phase; the Cluster. SandboxError says what it waits for."""

    def ready() -> bool:
        found = cluster(api)
        if is_healthy(found):
            return True
        # The operator says so only after eleven minutes, and never why: the cause is in the bootstrap's own log.
        if bootstrap_failures(api) >= FATAL_FAILURES:
            raise SandboxError(
                f"{NAMESPACE}/{CLUSTER} cannot be made. The end of its bootstrap's log:\n{failed_log(api, NAMESPACE)}",
                "mend deploy/gitops/platform, then `gsv-sandbox down` and `up`",
            )
        return False

    def explain() -> str:
        status = (cluster(api) or {}).get("status", {})
        return f"Its phase: {status.get('phase')} {status.get('phaseReason', '')}\n{explain_pods(api, NAMESPACE)}"

    wait_until(f"{NAMESPACE}/{CLUSTER} healthy", ready, deadline, explain)
    found = cluster(api)
    assert found is not None
    return found


def bootstrap_failures(api: Api) -> int:
    """How often the pods of cmp-postgres's bootstrap or join Jobs have failed."""
    jobs = api.list("batch/v1", "Job", NAMESPACE, query=f"labelSelector=cnpg.io%2Fcluster%3D{CLUSTER}")
    return max((job.get("status", {}).get("failed", 0) for job in jobs), default=0)


def cluster(api: Api) -> Body | None:
    """The Cluster cmp-postgres, or None."""
    return api.get(CLUSTER_API, "Cluster", CLUSTER, NAMESPACE)


def is_healthy(body: Body | None) -> bool:
    """Ready, in the healthy phase, and with as many ready instances as are wanted."""
    status = (body or {}).get("status", {})
    return (
        body is not None
        and condition(body, "Ready")
        and status.get("phase") == HEALTHY
        and status.get("readyInstances") == body["spec"]["instances"]
    )


def secret_values(api: Api, name: str) -> dict[str, str]:
    """A Secret's values in the clear, for memory only; empty when it is not there."""
    found = api.get("v1", "Secret", name, NAMESPACE)
    return {key: base64.b64decode(value).decode() for key, value in ((found or {}).get("data") or {}).items()}


def _secret(name: str, kind: str, values: dict[str, str]) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        # The operator reads a Secret again when it changes only with this label.
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"cnpg.io/reload": "true"}},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
