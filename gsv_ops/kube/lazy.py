"""A Kube that connects when it is first used: what the definitions hand to every run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gsv_ops.kube.errors import Unauthorized
from gsv_ops.kube.protocol import Address, ExecResult, Kube, Object, PatchType, Propagation, Resource

if TYPE_CHECKING:
    from gsv_ops.kube.client import KubeClient

KUBECONFIG_VARIABLES = ("GSV_KUBECONFIG", "KUBECONFIG")

T = TypeVar("T")


class LazyKube:
    """Implements `Kube`. Making one does nothing at all; the first verb reads the configuration, or raises NotConfigured.

    The kubeconfig is what the first of `kubeconfig_env` that is set names; with none set, the pod's ServiceAccount is used. When the API
    server stops accepting the credentials, the next verb reads them anew.
    """

    def __init__(self, kubeconfig_env: Sequence[str] = KUBECONFIG_VARIABLES, context: str | None = None) -> None:
        self._kubeconfig_env = tuple(kubeconfig_env)
        self._context = context
        self._lock = threading.Lock()
        self._client: KubeClient | None = None
        self._process = 0

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        with self._connected() as kube:
            return kube.get(resource, name, namespace)

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> list[Object]:
        with self._connected() as kube:
            return kube.list(resource, namespace, labels=labels, fields=fields, metadata_only=metadata_only)

    def create(self, body: Object, *, dry_run: bool = False) -> Object:
        with self._connected() as kube:
            return kube.create(body, dry_run=dry_run)

    def apply(self, body: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        with self._connected() as kube:
            return kube.apply(body, dry_run=dry_run, force=force)

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
        with self._connected() as kube:
            return kube.patch(resource, name, namespace, patch, kind=kind, subresource=subresource, dry_run=dry_run)

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
        with self._connected() as kube:
            kube.delete(resource, name, namespace, uid=uid, resource_version=resource_version, propagation=propagation, dry_run=dry_run)

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
        with self._connected() as kube:
            return kube.wait(resource, name, namespace, until, timeout=timeout, what=what)

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: str = "", timeout: float = 60.0
    ) -> ExecResult:
        with self._connected() as kube:
            return kube.exec(namespace, pod, container, command, stdin=stdin, timeout=timeout)

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
        with self._connected() as kube:
            return kube.logs(namespace, pod, container, tail=tail, previous=previous, limit_bytes=limit_bytes)

    def open_port(self, namespace: str, pod: str, port: int) -> AbstractContextManager[Address]:
        with self._connected() as kube:
            return kube.open_port(namespace, pod, port)

    def ask_node(self, node: str, where: str) -> Object:
        with self._connected() as kube:
            return kube.ask_node(node, where)

    @contextmanager
    def acting_as(self, namespace: str, account: str) -> Iterator[Kube]:
        with self._connected() as kube, kube.acting_as(namespace, account) as other:
            yield other

    def server_version(self) -> Mapping[str, str]:
        with self._connected() as kube:
            return kube.server_version()

    @contextmanager
    def _connected(self) -> Iterator[Kube]:
        client = self._connect()
        try:
            yield client
        except Unauthorized:
            with self._lock:
                if self._client is client:
                    self._client = None
            raise

    def _connect(self) -> KubeClient:
        # Imported here, so that loading the definitions pays nothing for it.
        from gsv_ops.kube.client import connect

        with self._lock:
            # A forked process must not share its parent's connections.
            if self._client is None or self._process != os.getpid():
                named = next((value for variable in self._kubeconfig_env if (value := os.environ.get(variable))), None)
                self._client = connect(Path(named) if named else None, self._context)
                self._process = os.getpid()
            return self._client
