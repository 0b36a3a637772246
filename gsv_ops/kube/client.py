"""The Kube verbs against a real API server, over its own JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from gsv_ops.kube import acting, configuration, errors, objects, ownership, ports, resources, responses, streams, watch
from gsv_ops.kube.paths import named, path, place
from gsv_ops.kube.protocol import Address, ExecResult, Object, PatchType, Propagation, Resource
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import JSON, Call, Limits, Refusal, Transport

FIELD_MANAGER = "gsv-ops"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PATCH_TYPES: Mapping[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
APPLY = "application/apply-patch+yaml"  # of which JSON is a part

T = TypeVar("T")
Objects = list[Object]
Names = list[str]


def connect(kubeconfig: Path | None, context: str | None = None) -> KubeClient:
    """A client for a kubeconfig's context (None: the current one), or for the pod's own ServiceAccount without a kubeconfig.

    Sends nothing yet. Raises NotConfigured.
    """
    return KubeClient(Transport(configuration.load(kubeconfig, context)))


class KubeClient:
    """Implements `Kube`. Many threads may use one client; `protocol.Kube` says what each verb promises."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def limits(self) -> Limits:
        return self._transport.limits

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        about = self._about("get", resource, namespace, name)
        return self._send(Call(about, "GET", path(resource, namespace, name), {}))

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> list[Object]:
        about = self._about("list", resource, namespace)
        query: dict[str, str | int] = {"labelSelector": labels, "fieldSelector": fields, "limit": self.limits.page}
        accept = METADATA_LIST if metadata_only else JSON
        call = Call(about, "GET", path(resource, namespace, all_namespaces=True), query, accept=accept)
        try:
            return self._pages(call)
        except errors.UnexpectedResponse as error:
            if error.status != 410:
                raise
        # The list's snapshot was compacted away between two pages: a fresh one, once.
        return self._pages(call)

    def create(self, body: Object, *, dry_run: bool = False) -> Object:
        body = named(body)
        resource, namespace, name = place(body)
        about = self._about("create", resource, namespace, name)
        query = {"fieldManager": FIELD_MANAGER} | _dry(dry_run)
        call = Call(about, "POST", path(resource, namespace), query, body)
        try:
            return self._transport.decode(call, self._transport.send(call))
        except Refusal as refusal:
            if isinstance(refusal.error, errors.AlreadyExists) and refusal.attempts > 1:
                stored = self.get(resource, name, namespace)
                if ownership.made_by(body, stored, FIELD_MANAGER, refusal.elapsed, refusal.server_time):
                    return stored
            raise self._explained(refusal.error) from None

    def apply(self, body: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        resource, namespace, name = place(body)
        about = self._about("apply", resource, namespace, name)
        query = {"fieldManager": FIELD_MANAGER, "force": str(force).lower()} | _dry(dry_run)
        call = Call(about, "PATCH", path(resource, namespace, name), query, body, APPLY)
        try:
            return self._send(call)
        except errors.Conflict as conflict:
            if set(conflict.managers) != {FIELD_MANAGER}:
                raise
            return self._take_over(call)

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
        if isinstance(patch, Mapping) == (kind == "json"):
            expected = "a list of operations" if kind == "json" else "an object"
            raise ValueError(f"a {kind} patch is {expected}, not {type(patch).__name__}")
        about = self._about("patch", resource, namespace, name)
        query = {"fieldManager": FIELD_MANAGER} | _dry(dry_run)
        # A merge patch sets fields to values, the others may append.
        call = Call(
            about, "PATCH", path(resource, namespace, name, subresource), query, patch, PATCH_TYPES[kind], repeatable=kind == "merge"
        )
        try:
            return self._transport.decode(call, self._transport.send(call))
        except Refusal as refusal:
            # A conditional patch whose answer was lost meets the version it made itself.
            if isinstance(refusal.error, errors.Conflict) and refusal.attempts > 1 and isinstance(patch, Mapping):
                stored = self.get(resource, name, namespace)
                if ownership.holds(stored, patch):
                    return stored
            raise self._explained(refusal.error) from None

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
        about = self._about("delete", resource, namespace, name)
        if not uid:
            raise ValueError(f"delete {about.subject}: expected the uid of the object that is meant, as read from the API server")
        preconditions = {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {})
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation, "preconditions": preconditions}
        if dry_run:
            body["dryRun"] = ["All"]
        call = Call(about, "DELETE", path(resource, namespace, name), {}, body)
        try:
            self._transport.send(call)
        except Refusal as refusal:
            if refusal.attempts > 1 and not dry_run and self._is_going(refusal.error, resource, name, namespace, uid):
                return
            raise self._explained(refusal.error) from None

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
        about = self._about("wait for", resource, namespace, name)
        collection = path(resource, namespace)
        return watch.wait(self._transport, about, collection, until, timeout=timeout, what=what)

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
        about = self._about("exec", resources.POD, namespace, pod)
        url = path(resources.POD, namespace, pod, "exec")
        try:
            return streams.run(self._transport, about, url, container, command, stdin, timeout)
        except errors.NotFound as error:
            raise self._explained(error) from None

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
        about = self._about("logs", resources.POD, namespace, pod)
        query: dict[str, str | int] = {"container": container, "limitBytes": limit_bytes, "previous": str(previous).lower()}
        if tail is not None:
            query["tailLines"] = tail
        call = Call(about, "GET", path(resources.POD, namespace, pod, "log"), query, accept="*/*")
        try:
            return self._transport.send(call).data.decode(errors="replace")
        except Refusal as refusal:
            raise self._explained(refusal.error) from None

    def open_port(self, namespace: str, pod: str, port: int) -> AbstractContextManager[Address]:
        # A stream that fails can only close its connection: what can be known beforehand is asked now.
        self.get(resources.POD, pod, namespace)
        about = self._about("open_port", resources.POD, namespace, pod)
        return ports.open_port(self._transport, about, path(resources.POD, namespace, pod), port)

    def ask_node(self, node: str, where: str) -> Object:
        about = self._about("ask the kubelet of", resources.NODE, None, node)
        return self._send(Call(about, "GET", path(resources.NODE, None, node, f"proxy/{where}"), {}))

    @contextmanager
    def acting_as(self, namespace: str, account: str) -> Iterator[KubeClient]:
        with ExitStack() as stack:
            try:
                transport = stack.enter_context(acting.acting_as(self._transport, namespace, account))
            except errors.NotFound as error:
                raise self._explained(error) from None
            yield KubeClient(transport)

    def server_version(self) -> Mapping[str, str]:
        return self._send(Call(self._about("read", None), "GET", "/version", {}))

    def _about(self, verb: str, resource: Resource | None, namespace: str | None = None, name: str = "") -> Request:
        return Request(verb, resource, namespace, name, self._transport.endpoint.host)

    def _send(self, call: Call) -> Object:
        try:
            return self._transport.json(call)
        except errors.NotFound as error:
            raise self._explained(error) from None

    def _take_over(self, call: Call) -> Object:
        """An apply to fields that we wrote ourselves, by create or patch: the API takes that for another manager.

        Forced only at the version at which nobody but us was in conflict.
        """
        about = call.about
        assert about.resource is not None
        stored = self.get(about.resource, about.name, about.namespace)
        version = objects.resource_version(stored)
        body = call.body | {"metadata": call.body["metadata"] | {"resourceVersion": version}}
        try:
            return self._send(replace(call, body=body))
        except errors.Conflict as conflict:
            if set(conflict.managers) != {FIELD_MANAGER}:
                raise
        return self._send(replace(call, body=body, query=dict(call.query) | {"force": "true"}))

    def _pages(self, call: Call) -> Objects:
        resource = call.about.resource
        assert resource is not None
        found: Objects = []
        token = ""
        while True:
            query = dict(call.query) | {"continue": token}
            page = self._transport.json(replace(call, query=query))
            # Items of a list come without the kind that its head has.
            found += [{**item, "apiVersion": resource.api_version, "kind": resource.kind} for item in page.get("items") or ()]
            token = objects.at(page, "metadata", "continue", default="")
            if not token:
                return found

    def _is_going(self, error: errors.KubeError, resource: Resource, name: str, namespace: str | None, uid: str) -> bool:
        """Whether a delete whose first answer was lost did its work."""
        if isinstance(error, errors.NotFound):
            return True
        if not isinstance(error, errors.Conflict):
            return False
        try:
            stored = self.get(resource, name, namespace)
        except errors.NotFound:
            return True
        return objects.uid(stored) == uid and objects.deleting(stored)

    def _explained(self, error: errors.KubeError) -> errors.KubeError:
        """A NotFound with what does exist beside it, as far as one quick look tells."""
        if type(error) not in (errors.NotFound, errors.NamespaceNotFound) or error.resource is None:
            return error
        names = self._names(error.resource, error.namespace)
        namespaces = self._names(resources.NAMESPACE, None) if error.namespace else None
        assert isinstance(error, errors.NotFound)
        return responses.refine_not_found(error, namespaces=namespaces, names=names)

    def _names(self, resource: Resource, namespace: str | None) -> Names | None:
        call = Call(
            self._about("list", resource, namespace), "GET", path(resource, namespace), {"limit": self.limits.page}, accept=METADATA_LIST
        )
        try:
            page = self._transport.json(call, self._transport.clock() + self.limits.connect)
        except errors.KubeError:
            return None
        return [objects.name(item) for item in page.get("items") or ()]


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
