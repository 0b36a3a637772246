"""How gsv_ops speaks to Kubernetes: about ten verbs over plain dictionaries.

Everything above this room takes a `Kube` and never a client library, so that the same code runs against the real API server and, in tests,
against whatever passes the same contract suite. Bodies are the API's own JSON as dictionaries; `kube/objects.py` has the accessors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

Object = dict[str, Any]
"""One Kubernetes object, as the API's JSON."""

T = TypeVar("T")

PatchType = Literal["merge", "json", "strategic"]
Propagation = Literal["Foreground", "Background", "Orphan"]


@dataclass(frozen=True)
class Resource:
    """A kind of object the API serves, named as its paths name it (`kube/resources.py` holds the ones we use)."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`, as it stands in an object's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`backups.postgresql.cnpg.io`, as RBAC rules and error messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True)
class ExecResult:
    """What a command in a container gave back: its exit code and both of its streams."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Address:
    """Where an opened port can be reached from this process."""

    host: str
    port: int


class Kube(Protocol):
    """The verbs. Every one has a deadline of its own and raises `kube.errors.KubeError` and nothing else of the client's."""

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        """The object. Raises NotFound (with near matches), Forbidden, Unavailable."""
        ...

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> list[Object]:
        """All that match, fetched page by page. A namespace that does not exist lists as empty: `get` it first."""
        ...

    def create(self, body: Object, *, dry_run: bool = False) -> Object:
        """The object as stored. Raises AlreadyExists; a create that was retried and finds its own object counts as done."""
        ...

    def apply(self, body: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        """The object after a server-side apply by field manager `gsv-ops`. Raises Conflict naming the other manager."""
        ...

    def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        patch: Object | Sequence[Object],
        *,
        kind: PatchType = "merge",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """The object after the patch.

        Put metadata.uid and resourceVersion into a merge patch to make it conditional: Conflict (409) if they moved.
        """
        ...

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
        dry_run: bool = False,
    ) -> None:
        """Ask for the deletion of exactly that object. Raises Conflict if the name now belongs to another, NotFound if it is gone."""
        ...

    def wait(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        until: Callable[[Object | None], T | None],
        *,
        timeout: float,
        what: str,
    ) -> T:
        """The first non-None value of `until`, called with the object's every change (None: it does not exist).

        One watch, no polling; restarted with a bounded back-off when it breaks or expires. `until` may raise to give up early.
        Raises WaitTimeout after `timeout` seconds, which quotes `what`, the object's conditions and its latest events.
        """
        ...

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        *,
        stdin: str = "",
        timeout: float = 60.0,
    ) -> ExecResult:
        """Run a command in a container. A non-zero exit is a result, not an error."""
        ...

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        tail: int | None = None,
        previous: bool = False,
        limit_bytes: int = 4_000_000,
    ) -> str:
        """The container's log, newest `tail` lines if given, at most `limit_bytes`."""
        ...

    def open_port(self, namespace: str, pod: str, port: int) -> AbstractContextManager[Address]:
        """A port of the pod on loopback for as long as the context lasts; any number of connections at once."""
        ...

    def ask_node(self, node: str, where: str) -> Object:
        """What the node's kubelet answers at `stats/summary` or `configz`, through the API server.

        That takes the right to get nodes/proxy, which is nearly root on the node: see `acting_as`. Raises Forbidden, Unavailable.
        """
        ...

    def acting_as(self, namespace: str, account: str) -> AbstractContextManager[Kube]:
        """A Kube that speaks as that ServiceAccount until the context ends (`kube/acting.py` says when, and with which rights).

        Raises NotFound where there is no such ServiceAccount, Forbidden where we may not ask a token for it.
        """
        ...

    def server_version(self) -> Mapping[str, str]:
        """The API server's /version. Raises Unavailable if it cannot be reached."""
        ...
