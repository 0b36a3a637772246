"""The cluster, the database and the object store, seen by other means than gsv_ops's own code.

kubernetes's official client, psql inside the pods, the store's directory on disk, /proc. What these say is what a test believes.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

NAMESPACE = "cmp"
CLUSTER = "cmp-postgres"
DATABASE = "agent_registry"
CNPG = ("postgresql.cnpg.io", "v1")
CONTAINER = "postgres"
COUNT_EVERY_TABLE = r"""
    select format('%I.%I', n.nspname, c.relname),
           (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from only %I.%I', n.nspname, c.relname), false, true, '')))[1]
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'm') and c.relpersistence = 'p' and c.relispopulated and c.oid >= 16384 and n.nspname !~ '^pg_'
     order by 1
"""
"""What a backup can give back: every table, partition and populated materialised view that is logged, with its rows counted."""


class Outside:
    """An administrator beside the desk."""

    def __init__(self, kubeconfig: Path, store: Path) -> None:
        settings: Any = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings, persist_config=False)
        settings.proxy = None
        self._settings = settings
        self._client = client.ApiClient(settings)
        self.core = client.CoreV1Api(self._client)
        self.apps = client.AppsV1Api(self._client)
        self.batch = client.BatchV1Api(self._client)
        self.networking = client.NetworkingV1Api(self._client)
        self.custom = client.CustomObjectsApi(self._client)
        self.store = store

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()
        self._client.rest_client.pool_manager.clear()

    # -- the cluster -------------------------------------------------------------------------------------------------------------

    def get(self, plural: str, name: str) -> dict[str, Any]:
        """A Cluster ("clusters") or Backup ("backups") of the namespace."""
        found: dict[str, Any] = self.custom.get_namespaced_custom_object(*CNPG, NAMESPACE, plural, name)
        return found

    def list(self, plural: str, labels: str = "") -> list[dict[str, Any]]:
        """All of them, or those with the labels."""
        found: list[dict[str, Any]] = self.custom.list_namespaced_custom_object(*CNPG, NAMESPACE, plural, label_selector=labels)["items"]
        return found

    def names(self, plural: str, labels: str = "") -> set[str]:
        """Their names."""
        return {body["metadata"]["name"] for body in self.list(plural, labels)}

    def primary(self, cluster: str = CLUSTER) -> str:
        """The pod that is primary."""
        name: str = self.get("clusters", cluster)["status"]["currentPrimary"]
        return name

    def everything_named(self, prefix: str) -> set[str]:
        """`Kind/name` of whatever a scratch cluster of that name could have left."""
        namespaced: dict[str, Callable[..., Any]] = {
            "Pod": self.core.list_namespaced_pod,
            "PersistentVolumeClaim": self.core.list_namespaced_persistent_volume_claim,
            "Service": self.core.list_namespaced_service,
            "Secret": self.core.list_namespaced_secret,
            "Job": self.batch.list_namespaced_job,
            "NetworkPolicy": self.networking.list_namespaced_network_policy,
        }
        found = {f"Cluster/{name}" for name in self.names("clusters") if name.startswith(prefix)}
        for kind, ask in namespaced.items():
            found |= {f"{kind}/{each.metadata.name}" for each in ask(NAMESPACE).items if each.metadata.name.startswith(prefix)}
        for volume in self.core.list_persistent_volume().items:
            claim = volume.spec.claim_ref
            if claim is not None and claim.name.startswith(prefix):
                found.add(f"PersistentVolume/{volume.metadata.name} of {claim.name}")
        return found

    def secret(self, name: str) -> dict[str, str]:
        """A Secret's values in the clear."""
        data = self.core.read_namespaced_secret(name, NAMESPACE).data or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def healthy(self, cluster: str = CLUSTER) -> bool:
        """Whether the operator says so, of every instance, and of the WAL archive."""
        with suppress(ApiException):
            body = self.get("clusters", cluster)
            status = body.get("status", {})
            conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
            return bool(
                status.get("phase") == "Cluster in healthy state"
                and status.get("readyInstances") == body["spec"]["instances"]
                and status.get("currentPrimary") == status.get("targetPrimary")
                and conditions.get("Ready") == "True"
                and conditions.get("ContinuousArchiving") == "True"
            )
        return False

    # -- the database ------------------------------------------------------------------------------------------------------------

    def psql(self, pod: str, statement: str, database: str = DATABASE) -> list[list[str]]:
        """The rows of one statement, as the superuser inside the pod. Raises AssertionError with psql's own words."""
        command = ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]
        with self._exec(pod, command) as session:
            session.run_forever(timeout=120)
            out, error = session.read_stdout(timeout=1), session.read_stderr(timeout=1)
            code = session.returncode
        if code != 0:
            raise AssertionError(f"psql in {pod} ended with {code}: {error or out}")
        return [line.split("\t") for line in (out or "").splitlines()]

    def value(self, pod: str, statement: str, database: str = DATABASE) -> str:
        """The one value of a statement that gives one."""
        return self.psql(pod, statement, database)[0][0]

    def answers(self, pod: str) -> bool:
        """Whether PostgreSQL in the pod takes writes."""
        try:
            return self.value(pod, "select pg_is_in_recovery()", "postgres") == "f"
        except (AssertionError, ApiException):
            return False

    def table_counts(self, pod: str) -> dict[str, int]:
        """Rows of every table that a backup can give back, by its quoted name."""
        return {name: int(rows) for name, rows in self.psql(pod, COUNT_EVERY_TABLE)}

    @contextmanager
    def open_transaction(self, pod: str, application: str) -> Iterator[int]:
        """A transaction with a transaction id that stays open, idle, in another database; the pid of its session."""
        command = ["env", f"PGAPPNAME={application}", "psql", "-X", "-q", "-A", "-t", "-d", "postgres"]
        with self._exec(pod, command, stdin=True) as session:
            session.write_stdin("begin; select pg_current_xact_id() is not null, pg_backend_pid();\n")
            said = until(lambda: session.read_stdout(timeout=1), 15, "the transaction to be open")
            yield int(said.strip().split("|")[1])
            session.write_stdin("rollback;\n\\q\n")

    @contextmanager
    def _exec(self, pod: str, command: list[str], stdin: bool = False) -> Iterator[Any]:
        # A client of its own: `stream` changes the one it is given.
        with client.ApiClient(self._settings) as own:
            session = stream(
                client.CoreV1Api(own).connect_get_namespaced_pod_exec,
                pod,
                NAMESPACE,
                container=CONTAINER,
                command=command,
                stdin=stdin,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
            )
            try:
                yield session
            finally:
                session.close()
                session.sock.shutdown()  # a session that the server closed keeps its socket otherwise

    # -- the object store --------------------------------------------------------------------------------------------------------

    def wal_files(self, server: str = CLUSTER) -> dict[str, Path]:
        """Every WAL segment in the store's directory, by its name."""
        return {file.name.split(".")[0]: file for file in (self.store / server / "wals").glob("*/*") if file.is_file()}

    def base_backup_bytes(self, backup_id: str, server: str = CLUSTER) -> int:
        """The bytes of one base backup on disk."""
        return sum(file.stat().st_size for file in (self.store / server / "base" / backup_id).rglob("*") if file.is_file())


def until(condition: Callable[[], Any], seconds: float, what: str, every: float = 0.3) -> Any:
    """What `condition` gives once it is true. Raises AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(every)
    return found


def read_yaml(text: str) -> Any:
    """YAML as Python has it."""
    return yaml.safe_load(text)
