"""connection_info: where a database is, which Secrets hold its logins, how to open a session, and whether the way in is open.

Of a Secret only the names of its keys are looked at.
"""

from __future__ import annotations

from gsv_ops.database import connection_info, source
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.names import DATABASE_TAG, named
from gsv_ops.database.observe import seen
from gsv_ops.database.promotion import front_door
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import NAMESPACE, POSTGRES_CLUSTER, SECRET
from gsv_ops.operations.operation import Check, Desk, Params
from gsv_ops.operations.reporting import Before, Found, Report

DOOR = "read_write_service_leads_to_the_primary"
LOGIN = "login_secret_is_there"
CHECKS = {
    DOOR: "Whoever connects to the read-write Service reaches the primary, and nothing else.",
    LOGIN: "The Secret with the application's login is there, with a username and a password in it.",
}
KEYS = ("username", "password")


class ConnectionInfo(Params):
    """Nothing to choose."""


def connection_report(name: str) -> Report[ConnectionInfo]:
    """The report of one database of platform.yaml."""

    def look(desk: Desk, params: ConnectionInfo, before: Before) -> Found:
        """Raises NotFound and Forbidden for the Cluster."""
        database = desk.spec.databases[name]
        desk.kube.get(NAMESPACE, database.namespace)
        cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
        pods = seen(lambda: front_door.behind(desk, database, cluster))
        secret = connection_info.login_secret(cluster)
        keys = seen(lambda: _keys(desk.kube, secret, database.namespace))
        facts = connection_info.facts(cluster, database.database)
        door, login = leads(cluster, pods), complete(f"{database.namespace}/{secret}", keys)
        said = f"{facts['host']}:{facts['port']}, database {database.database}; {door.description}; {login.description}"
        return Found(said, facts, [door, login])

    return Report(
        name=named("connection_info", name),
        description=f"""
How to connect to {name}: host, port, database, the names of the Secrets, and three ways to open a session, each of which works as it
stands. No value of a Secret is shown.

**When to run:** before you, or an application, connect; when one cannot.
**What it changes:** nothing. It stands on the asset `database/{name}/connection_info`.
**How to undo:** nothing to undo.
""",
        params=ConnectionInfo,
        look=look,
        checks=CHECKS,
        tags={DATABASE_TAG: name},
    )


def leads(cluster: Object, pods: list[str] | Unseen) -> Check:
    """Whether the pods behind the read-write Service are the primary alone."""
    if isinstance(pods, Unseen):
        return Check(DOOR, False, f"where the read-write Service leads is unknown: {pods.why}")
    primary = source.primary(cluster)
    told = f"the read-write Service leads to {', '.join(pods) or 'no instance'}"
    if not primary:
        return Check(DOOR, False, f"{told}, and no primary is settled: the phase is {source.phase(cluster)!r}")
    return Check(DOOR, pods == [primary], told if pods == [primary] else f"{told}; expected the primary {primary} alone")


def complete(secret: str, keys: frozenset[str] | Unseen) -> Check:
    """Whether a login can be made of the Secret, by the names of its keys."""
    if isinstance(keys, Unseen):
        return Check(LOGIN, False, f"the login is unknown: {keys.why}")
    missing = [key for key in KEYS if key not in keys]
    return Check(LOGIN, not missing, f"Secret {secret} lacks {' and '.join(missing)}" if missing else f"the login is in Secret {secret}")


def _keys(kube: Kube, secret: str, namespace: str) -> frozenset[str]:
    return frozenset(key for key, value in (kube.get(SECRET, secret, namespace).get("data") or {}).items() if value)
