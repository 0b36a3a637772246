"""The Kube verbs over the in-memory server: what `gsv_ops.kube.client` does over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from gsv_ops.kube import errors, objects, resources, responses
from gsv_ops.kube.client import FIELD_MANAGER
from gsv_ops.kube.paths import named, path, place
from gsv_ops.kube.protocol import Address, ExecResult, Object, PatchType, Propagation, Resource
from gsv_ops.kube.responses import Request
from gsv_ops_tests.fake_kube import kinds, patches, refusals, selectors, waiting
from gsv_ops_tests.fake_kube.fields import Manager
from gsv_ops_tests.fake_kube.refusals import Refusal
from gsv_ops_tests.fake_kube.scripts import Denial, Exec, Logs, Node, NotScripted, OpenPort, Scripts
from gsv_ops_tests.fake_kube.server import Key, Server, copied

HOST = "fake"
VERSION = {"major": "1", "minor": "35", "gitVersion": "v1.35.0", "platform": "linux/amd64"}

T = TypeVar("T")
Objects = list[Object]
Names = list[str]


class FakeKube:
    """Implements `Kube`; many threads may use one.

    `now` stamps what is written (waits go by the real clock). `custom`: the resources whose CustomResourceDefinitions are installed; others
    than a bare API server's own are not served. `collects`: whether a controller manager takes away what belongs to what is deleted.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        custom: Iterable[Resource] = (),
        collects: bool = False,
        user: str = "fake",
    ) -> None:
        self._server = Server(now, custom, collects)
        self._user = user
        self._manager = FIELD_MANAGER
        self._denials: list[Denial] = []
        self._scripts = Scripts()
        self._accounts: dict[tuple[str, str], FakeKube] = {}

    # What only a test does.

    def beside(self, *, user: str | None = None, manager: str = FIELD_MANAGER) -> FakeKube:
        """Another client of the same server: of that user, writing as that field manager; nothing forbidden, nothing scripted."""
        other = FakeKube(user=user or self._user)
        other._server, other._manager = self._server, manager
        return other

    def account(self, namespace: str, name: str) -> FakeKube:
        """What `acting_as` gives for that ServiceAccount, to forbid it something or to script what it sees."""
        return self._accounts.setdefault((namespace, name), self.beside(user=f"system:serviceaccount:{namespace}:{name}"))

    def put(self, body: Object) -> Object:
        """The object as stored, just as given: with its status, its creationTimestamp, its uid, for which it gets new ones if it has none.

        As a controller or another user would leave it; it replaces whatever is there. Raises NamespaceNotFound.
        """
        resource, namespace, name = place(body)
        with self._answering(self._about("put", resource, namespace, name)):
            return cast(Object, copied(self._server.put(Key(resource, namespace, name), body)))

    def remove(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        """The object is gone, whatever held it: as a kubelet ends a pod. Raises NotFound."""
        with self._answering(self._about("remove", resource, namespace, name)):
            self._server.find(Key(resource, namespace, name))
            self._server.store(Key(resource, namespace, name), None)

    def forbid(
        self, verb: str | None = None, resource: Resource | None = None, *, subresource: str = "", namespace: str | None = None
    ) -> None:
        """From now on Forbidden, as RBAC says it. Verbs are RBAC's: an apply is a patch, and a create too where it creates; a wait lists
        and watches; an exec gets and creates the subresource exec, a port's portforward, and logs get log. None: any."""
        self._denials.append(Denial(verb, resource, subresource, namespace))

    def script(
        self, *, exec: Exec | None = None, logs: Logs | None = None, open_port: OpenPort | None = None, node: Node | None = None
    ) -> None:
        """What those verbs do, each as given last; without it they raise NotScripted."""
        said = self._scripts
        self._scripts = Scripts(exec or said.exec, logs or said.logs, open_port or said.open_port, node or said.node)

    # The verbs.

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self._get(self._about("get", resource, namespace, name))

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> list[Object]:
        path(resource, namespace, all_namespaces=True)
        with self._answering(self._about("list", resource, namespace)):
            self._check("list", resource, namespace)
            found = self._server.all(resource, namespace)
            by_labels, by_fields = selectors.by_labels(labels), selectors.by_fields(resource, fields)
            chosen = [body for body in found if by_labels(body) and by_fields(body)]
            shown = ("apiVersion", "kind", "metadata")
            return [copied({k: v for k, v in body.items() if not metadata_only or k in shown}) for body in chosen]

    def create(self, body: Object, *, dry_run: bool = False) -> Object:
        body = named(body)
        resource, namespace, name = place(body)
        path(resource, namespace)
        with self._answering(self._about("create", resource, namespace, name)):
            self._check("create", resource, namespace, name)
            return cast(Object, copied(self._server.create(Key(resource, namespace, name), copied(body), self._manager, dry_run=dry_run)))

    def apply(self, body: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        resource, namespace, name = place(body)
        path(resource, namespace, name)
        key, manager = Key(resource, namespace, name), Manager(self._manager, "Apply")
        with self._answering(self._about("apply", resource, namespace, name)):
            self._check("patch", resource, namespace, name)
            if key not in self._server.objects:
                self._check("create", resource, namespace, name)
            try:
                return cast(Object, copied(self._server.apply(key, copied(body), manager, force=force, dry_run=dry_run)))
            except Refusal as refusal:
                conflict = responses.error_of(self._about("apply", resource, namespace, name), refusal.status, refusal.body)
                if not isinstance(conflict, errors.Conflict) or set(conflict.managers) != {self._manager}:
                    raise
                # What we wrote ourselves, by create or patch, is no one else's.
                return cast(Object, copied(self._server.apply(key, copied(body), manager, force=True, dry_run=dry_run)))

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
        path(resource, namespace, name)
        if subresource not in ("", "status"):
            raise NotScripted(f"the fake has no subresource {subresource!r} to patch")
        sent = copied(patch)
        change: Callable[[Any, Any], Any] = {"merge": patches.merged, "json": patches.operated, "strategic": patches.strategic}[kind]
        with self._answering(self._about("patch", resource, namespace, name)):
            self._check("patch", resource, namespace, name, subresource)
            if kind == "strategic" and resource not in kinds.BUILT_IN:
                raise refusals.no_strategy()
            key = Key(resource, namespace, name)
            found = self._server.patch(key, lambda body: change(body, sent), self._manager, subresource=subresource, dry_run=dry_run)
            return cast(Object, copied(found))

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
        path(resource, namespace, name)
        with self._answering(about):
            self._check("delete", resource, namespace, name)
            self._server.delete(Key(resource, namespace, name), uid, resource_version, propagation, dry_run=dry_run)

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
        path(resource, namespace)
        with self._answering(about):
            for verb in ("list", "watch"):
                self._check(verb, resource, namespace)
            self._server.check_served(resource)
        return waiting.wait(self._server, about, until, self._events, timeout=timeout, what=what)

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: str = "", timeout: float = 60.0
    ) -> ExecResult:
        about = self._about("exec", resources.POD, namespace, pod)
        with self._answering(about):
            for verb in ("get", "create"):
                self._check(verb, resources.POD, namespace, pod, "exec")
            self._check_container(namespace, pod, container)
        if self._scripts.exec is None:
            raise NotScripted(f"{about.verb} {about.subject}: {list(command)} was not expected; give FakeKube.script(exec=...)")
        return self._scripts.exec(namespace, pod, container, command, stdin)

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
        with self._answering(about):
            self._check("get", resources.POD, namespace, pod, "log")
            self._check_container(namespace, pod, container)
        if self._scripts.logs is None:
            raise NotScripted(f"{about.verb} {about.subject}: not expected; give FakeKube.script(logs=...)")
        lines = self._scripts.logs(namespace, pod, container, previous).splitlines(keepends=True)
        text = "".join(lines if tail is None else lines[max(0, len(lines) - tail) :])
        return text.encode()[:limit_bytes].decode(errors="replace")

    def open_port(self, namespace: str, pod: str, port: int) -> AbstractContextManager[Address]:
        self.get(resources.POD, pod, namespace)
        about = self._about("open_port", resources.POD, namespace, pod)
        with self._answering(about):
            for verb in ("get", "create"):
                self._check(verb, resources.POD, namespace, pod, "portforward")
        if self._scripts.open_port is None:
            raise NotScripted(f"{about.verb} {about.subject}: port {port} was not expected; give FakeKube.script(open_port=...)")
        return self._scripts.open_port(namespace, pod, port)

    def ask_node(self, node: str, where: str) -> Object:
        about = self._about("ask the kubelet of", resources.NODE, None, node)
        with self._answering(about):
            self._check("get", resources.NODE, None, node, "proxy")
            self._server.find(Key(resources.NODE, None, node))
        if self._scripts.node is None:
            raise NotScripted(f"{about.verb} {about.subject}: {where} was not expected; give FakeKube.script(node=...)")
        return self._scripts.node(node, where)

    @contextmanager
    def acting_as(self, namespace: str, account: str) -> Iterator[FakeKube]:
        with self._answering(self._about("ask a token for", resources.SERVICE_ACCOUNT, namespace, account)):
            self._check("create", resources.SERVICE_ACCOUNT, namespace, account, "token")
            self._server.find(Key(resources.SERVICE_ACCOUNT, namespace, account))
        yield self.account(namespace, account)

    def server_version(self) -> Mapping[str, str]:
        return dict(VERSION)

    def _about(self, verb: str, resource: Resource, namespace: str | None = None, name: str = "") -> Request:
        return Request(verb, resource, namespace, name, HOST)

    @contextmanager
    def _answering(self, about: Request) -> Iterator[None]:
        """Alone with the server; what it refuses is told as the client of the real one tells it."""
        try:
            with self._server.changed:
                yield
        except Refusal as refusal:
            raise self._explained(responses.error_of(about, refusal.status, refusal.body)) from None

    def _check(self, verb: str, resource: Resource, namespace: str | None, name: str = "", subresource: str = "") -> None:
        if any(denial.covers(verb, resource, subresource, namespace) for denial in self._denials):
            raise refusals.denied(self._user, verb, resource, subresource, namespace, name)

    def _get(self, about: Request) -> Object:
        assert about.resource is not None
        path(about.resource, about.namespace, about.name)
        with self._answering(about):
            self._check("get", about.resource, about.namespace, about.name)
            return cast(Object, copied(self._server.find(Key(about.resource, about.namespace, about.name))))

    def _check_container(self, namespace: str, pod: str, container: str) -> None:
        spec = self._server.find(Key(resources.POD, namespace, pod)).get("spec", {})
        known = [c["name"] for field in ("initContainers", "containers", "ephemeralContainers") for c in spec.get(field, [])]
        if container not in known:
            raise refusals.bad_request(f"container {container} is not valid for pod {pod}")

    def _explained(self, error: errors.KubeError) -> errors.KubeError:
        if type(error) not in (errors.NotFound, errors.NamespaceNotFound) or error.resource is None:
            return error
        assert isinstance(error, errors.NotFound)
        names = self._names(error.resource, error.namespace)
        return responses.refine_not_found(
            error, namespaces=self._names(resources.NAMESPACE, None) if error.namespace else None, names=names
        )

    def _names(self, resource: Resource, namespace: str | None) -> Names | None:
        try:
            return [objects.name(body) for body in self.list(resource, namespace, metadata_only=True)]
        except errors.KubeError:
            return None

    def _events(self, namespace: str, fields: str) -> Objects:
        return self.list(resources.EVENT, namespace, fields=fields)
