"""How to open a session to a database: where it is, which Secret holds the login, and the commands. No value of any Secret."""

from __future__ import annotations

from gsv_ops.database import source
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Fact, Markdown

PORT = 5432


def facts(cluster: Object, database: str) -> dict[str, Fact]:
    """Host, port, database, the names of the Secrets, and three ways in, each of which works as it stands."""
    name, namespace = objects.name(cluster), objects.namespace(cluster) or ""
    login = login_secret(cluster)
    authority = str(at(cluster, "status", "certificates", "serverCASecret", default=f"{name}-ca"))
    write = str(at(cluster, "status", "writeService", default=f"{name}-rw"))
    read = str(at(cluster, "status", "readService", default=f"{name}-r"))
    allowed = bool(at(cluster, "spec", "enableSuperuserAccess", default=False))
    superuser = str(at(cluster, "spec", "superuserSecret", "name", default=f"{name}-superuser")) if allowed else ""
    # a name that is guessed while the primary moves would open a session to a replica
    ask = f"\"$(kubectl get clusters.postgresql.cnpg.io {name} -n {namespace} -o jsonpath='{{.status.currentPrimary}}')\""
    return {
        "host": f"{write}.{namespace}.svc",
        "host for reading": f"{read}.{namespace}.svc",
        "port": PORT,
        "database": database,
        "Secret with the login": f"{namespace}/{login}",
        "Secret with the certificate authority": f"{namespace}/{authority}",
        "how to open a session": Markdown(_how(namespace, source.primary(cluster) or ask, write, login, database, superuser)),
    }


def login_secret(cluster: Object) -> str:
    """The name of the Secret with the application's login."""
    begun = at(cluster, "spec", "bootstrap", "initdb") or at(cluster, "spec", "bootstrap", "recovery") or {}
    return str(at(begun, "secret", "name", default=f"{objects.name(cluster)}-app"))


def _how(namespace: str, primary: str, service: str, login: str, database: str, superuser: str) -> str:
    secret = f"kubectl get secret {login} -n {namespace} -o jsonpath="
    network = (
        f"`postgres` logs in over the network too (`enableSuperuserAccess`), with Secret `{superuser}`."
        if superuser
        else "`postgres` cannot log in over the network: CloudNativePG gives it no password unless `enableSuperuserAccess` is set."
    )
    return f"""
In the pod of the primary, as the superuser and without a password:

    kubectl exec -it {primary} -n {namespace} -c postgres -- psql -d {database}

From your machine, as the application; the password goes into the environment and not onto the screen:

    kubectl port-forward -n {namespace} svc/{service} {PORT}:{PORT} &
    PGUSER="$({secret}'{{.data.username}}' | base64 -d)" PGPASSWORD="$({secret}'{{.data.password}}' | base64 -d)" \\
      psql "host=localhost port={PORT} dbname={database} sslmode=require"

From a pod of the platform: host `{service}.{namespace}.svc`, and `secretKeyRef` of `{login}`.

{network}
"""
