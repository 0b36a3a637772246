"""The API server's part: objects, their versions and identities, what a write may do to them, and the log of it that a watch follows.

Bodies that come in are the server's from then on, those that go out are its own: `FakeKube` copies both. What is stored is never changed in
place. Refuses by `Refusal`.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object, Propagation, Resource
from gsv_ops.kube.resources import NAMESPACE, POD
from gsv_ops_tests.fake_kube import collector, fields, kinds, refusals
from gsv_ops_tests.fake_kube.fields import SYSTEM, Manager, Managers

FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
GRACE_SECONDS = 30
FINALIZERS: dict[Propagation, str] = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


class Key(NamedTuple):
    """Which object."""

    resource: Resource
    namespace: str | None
    name: str


def copied(body: Any) -> Any:
    """Nothing shared, and only what JSON can say. Raises TypeError."""
    return json.loads(json.dumps(body))


class Server:
    """One cluster's objects. Hold `changed` while using it: it is the lock, and tells of every write."""

    def __init__(self, now: Callable[[], datetime], custom: Iterable[Resource], collects: bool) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.log: list[tuple[Key, Object | None]] = []
        self.objects: dict[Key, Object] = {}
        self._now = now
        self._served = kinds.BUILT_IN | frozenset(custom)
        self._collects = collects
        self._collecting = False
        with self.changed:
            for name in FIRST_NAMESPACES:
                body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                self.create(Key(NAMESPACE, None, name), body, "kube-apiserver")

    def find(self, key: Key) -> Object:
        self.check_served(key.resource)
        if key not in self.objects:
            raise refusals.not_found(key.resource, key.name)
        return self.objects[key]

    def all(self, resource: Resource, namespace: str | None) -> list[Object]:
        """By namespace and name."""
        self.check_served(resource)
        found = [key for key in self.objects if key.resource == resource and namespace in (None, key.namespace)]
        return [self.objects[key] for key in sorted(found, key=lambda key: (key.namespace or "", key.name))]

    def check_served(self, resource: Resource) -> None:
        if resource not in self._served:
            raise refusals.not_served()

    def create(self, key: Key, body: Object, manager: str, *, dry_run: bool = False) -> Object:
        self._check_place(key)
        new = kinds.decoded(key.resource, body)
        return self._begin(key, new, lambda new: fields.after_update(None, new, Manager(manager), self._stamp(), status=False), dry_run)

    def apply(self, key: Key, body: Object, manager: Manager, *, force: bool, dry_run: bool) -> Object:
        self._check_place(key)
        kinds.check_applied(key.resource, body)
        old = self.objects.get(key)
        config = kinds.filled_in(key.resource, kinds.decoded(key.resource, body))
        if old is None and objects.at(config, "metadata", "uid"):
            raise refusals.moved_on(key.resource, key.name, "uid mismatch: no existing object was found")
        status = not kinds.has_status(key.resource)
        try:
            found, managers = fields.after_apply(old, config, manager, self._stamp(), force=force, status=status)
        except fields.Conflicts as conflicts:
            raise refusals.managed(conflicts.found) from None
        if old is None:
            found["metadata"].pop("resourceVersion", None)
            return self._begin(key, found, lambda new: managers, dry_run)
        return self._go_on(key, old, found, "", lambda new: managers, dry_run)

    def patch(self, key: Key, change: Callable[[Object], Object], manager: str, *, subresource: str, dry_run: bool) -> Object:
        old = self.find(key)
        if subresource and not kinds.has_status(key.resource):
            raise refusals.not_served()
        found = change(copied(old))
        kinds.check_patched(key.resource, found)
        who, status = Manager(manager, subresource=subresource), bool(subresource) or not kinds.has_status(key.resource)
        return self._go_on(
            key, old, found, subresource, lambda new: fields.after_update(old, new, who, self._stamp(), status=status), dry_run
        )

    def delete(self, key: Key, uid: str, resource_version: str | None, propagation: Propagation, *, dry_run: bool) -> None:
        old = self.find(key)
        if uid != objects.uid(old) or resource_version not in (None, objects.resource_version(old)):
            raise refusals.moved_on(key.resource, key.name, "the precondition on its uid or resourceVersion is not met")
        if key.resource == NAMESPACE and key.name in FIRST_NAMESPACES:
            raise refusals.forbidden(key.resource, key.name, "this namespace may not be deleted")
        if not dry_run:
            self._take_down(key, old, propagation)

    def put(self, key: Key, body: Object) -> Object:
        """Store the body as it is given, in place of whatever is there; what it lacks of identity it keeps or gets."""
        self._check_place(key)
        new, old = copied(body), self.objects.get(key)
        given = new["metadata"]
        kept = old["metadata"] if old is not None else {"uid": str(uuid.uuid4()), "creationTimestamp": self._stamp()}
        new["metadata"] = {field: kept[field] for field in SYSTEM if field in kept} | given
        if kinds.has_generation(key.resource) and "generation" not in given:
            before = objects.at(old, "metadata", "generation", default=0)
            new["metadata"]["generation"] = before + (old is None or _asked(old) != _asked(new))
        return self.store(key, new)

    def store(self, key: Key, new: Object | None) -> Object:
        """The next version of an object (None: it is gone)."""
        version = str(len(self.log) + 1)
        old = self.objects.pop(key, None)
        if new is not None:
            self.objects[key] = new = {**new, "metadata": {**new["metadata"], "resourceVersion": version}}
        self.log.append((key, new))
        self.changed.notify_all()
        if self._collects and not self._collecting:
            self._collecting = True
            try:
                collector.collect(self)
            finally:
                self._collecting = False
        found = new or old
        assert found is not None
        return found

    def release(self, key: Key, body: Object) -> None:
        """Store an object that may have lost the last thing it was held by: then it goes."""
        held = objects.at(body, "metadata", "finalizers", default=[]) or (
            key.resource == NAMESPACE and objects.at(body, "spec", "finalizers")
        )
        waits = objects.at(body, "metadata", "deletionGracePeriodSeconds", default=0) > 0
        self.store(key, body if held or waits or not objects.deleting(body) else None)

    def _check_place(self, key: Key) -> None:
        self.check_served(key.resource)
        if key.namespace is None:
            return
        place = self.objects.get(Key(NAMESPACE, None, key.namespace))
        if place is None:
            raise refusals.not_found(NAMESPACE, key.namespace)
        if objects.deleting(place) and key not in self.objects:
            why = f"unable to create new content in namespace {key.namespace} because it is being terminated"
            raise refusals.forbidden(key.resource, key.name, why)

    def _begin(self, key: Key, new: Object, managers: Callable[[Object], Managers], dry_run: bool) -> Object:
        if objects.resource_version(new):
            raise refusals.Refusal(500, "", "resourceVersion should not be set on objects to be created")
        new = kinds.born(key.resource, kinds.filled_in(key.resource, new))
        for field in SYSTEM:
            new["metadata"].pop(field, None)
        kinds.check(key.resource, new)
        if key in self.objects:
            raise refusals.already_exists(key.resource, key.name)
        new["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": self._stamp()}
        if kinds.has_generation(key.resource):
            new["metadata"]["generation"] = 1
        fields.write(new, managers(new))
        return new if dry_run else self.store(key, new)

    def _go_on(
        self, key: Key, old: Object, found: Object, subresource: str, managers: Callable[[Object], Managers], dry_run: bool
    ) -> Object:
        """The object after a write that made `found` of `old`."""
        new = kinds.filled_in(key.resource, kinds.decoded(key.resource, found))
        self._check_same(key, old, new)
        new = _parts(key.resource, old, new, subresource)
        new["metadata"] |= {field: old["metadata"][field] for field in SYSTEM if field in old["metadata"]}
        kinds.check(key.resource, new)
        added = set(objects.at(new, "metadata", "finalizers", default=[])) - set(objects.at(old, "metadata", "finalizers", default=[]))
        if objects.deleting(old) and added:
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers {sorted(added)}"
            raise refusals.invalid(new, "metadata.finalizers", "FieldValueForbidden", f"Forbidden: {why}")
        if kinds.has_generation(key.resource) and _asked(old) != _asked(new):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        fields.write(new, managers(new))
        if dry_run:
            return new
        if _timeless(new) == _timeless(old):
            return old
        self.release(key, new)
        return self.objects.get(key, new)

    def _check_same(self, key: Key, old: Object, new: Object) -> None:
        if objects.name(new) != key.name:
            raise refusals.bad_request(f"the name of the object ({objects.name(new)}) does not match the name on the URL ({key.name})")
        if objects.namespace(new) != key.namespace:
            raise refusals.bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if objects.at(new, "metadata", "uid", default=objects.uid(old)) != objects.uid(old):
            raise refusals.moved_on(key.resource, key.name, "Precondition failed: UID in precondition, UID in object meta")
        if objects.resource_version(new) not in ("", objects.resource_version(old)):
            raise refusals.moved_on(key.resource, key.name, "the object has been modified; please apply your changes to the latest version")

    def _take_down(self, key: Key, old: Object, propagation: Propagation) -> None:
        finalizers = [f for f in objects.at(old, "metadata", "finalizers", default=[]) if f not in FINALIZERS.values()]
        finalizers += [FINALIZERS[propagation]] if propagation in FINALIZERS else []
        new = {**old, "metadata": {**old["metadata"], "finalizers": finalizers}}
        if not finalizers:
            del new["metadata"]["finalizers"]
        if not objects.deleting(old):
            grace = _grace(key.resource, old)
            new["metadata"]["deletionTimestamp"] = self._stamp(timedelta(seconds=grace))
            if key.resource == NAMESPACE:
                new["status"] = {**new.get("status", {}), "phase": "Terminating"}
            else:
                new["metadata"]["deletionGracePeriodSeconds"] = grace
            if "generation" in new["metadata"]:
                new["metadata"]["generation"] += 1
        if new != old:
            self.release(key, new)

    def _stamp(self, later: timedelta = timedelta(0)) -> str:
        return f"{(self._now() + later).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _asked(body: Object) -> Object:
    """What is asked for, apart from what is observed."""
    return {key: value for key, value in body.items() if key not in ("metadata", "status")}


def _timeless(body: Object) -> Object:
    """The body without the times of its managers: a write that changes nothing else is none."""
    managers = [{k: v for k, v in entry.items() if k != "time"} for entry in objects.at(body, "metadata", "managedFields", default=[])]
    return {**body, "metadata": {**body["metadata"], "managedFields": managers}}


def _parts(resource: Resource, old: Object, new: Object, subresource: str) -> Object:
    """What this endpoint may change of the object, the rest as it was."""
    if not kinds.has_status(resource):
        return new
    if not subresource:
        observed = {"status": old["status"]} if "status" in old else {}
        return {**{key: value for key, value in new.items() if key != "status"}, **observed}
    metadata = new["metadata"] if resource in kinds.BUILT_IN else copied(old["metadata"])
    observed = {"status": new["status"]} if "status" in new else {}
    return {**{key: value for key, value in old.items() if key != "status"}, "metadata": metadata, **observed}


def _grace(resource: Resource, body: Object) -> int:
    """A pod on a node stays until its kubelet has stopped it."""
    ended = objects.at(body, "status", "phase") in ("Succeeded", "Failed")
    if resource != POD or ended or not objects.at(body, "spec", "nodeName"):
        return 0
    return int(objects.at(body, "spec", "terminationGracePeriodSeconds", default=GRACE_SECONDS))
