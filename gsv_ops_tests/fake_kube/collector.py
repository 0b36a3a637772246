"""What a controller manager takes away: dependents of what is gone or going, the contents of a namespace, claims that no pod uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import NAMESPACE, PERSISTENT_VOLUME_CLAIM, POD
from gsv_ops_tests.fake_kube.kinds import CLAIM_FINALIZER

if TYPE_CHECKING:
    from gsv_ops_tests.fake_kube.server import Key, Server

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


def collect(server: Server) -> None:
    """Until there is nothing left to do."""
    while any(_one(server, key) for key in list(server.objects)):
        pass


def _one(server: Server, key: Key) -> bool:
    """Whether something was done about that object."""
    body = server.objects.get(key)
    if body is None:
        return False
    if objects.deleting(body):
        return _going(server, key, body)
    return _dependent(server, key, body)


def _going(server: Server, key: Key, body: Object) -> bool:
    finalizers = objects.at(body, "metadata", "finalizers", default=[])
    dependents = _dependents(server, objects.uid(body))
    if ORPHAN in finalizers:
        for dependent in dependents:
            _let_go(server, dependent, {objects.uid(body)})
        return _drop(server, key, ORPHAN)
    if FOREGROUND in finalizers and not any(_blocks(server.objects[d], objects.uid(body)) for d in dependents):
        return _drop(server, key, FOREGROUND)
    if CLAIM_FINALIZER in finalizers and key.resource == PERSISTENT_VOLUME_CLAIM and not _used(server, key):
        return _drop(server, key, CLAIM_FINALIZER)
    if key.resource == NAMESPACE:
        inside = [k for k in server.objects if k.namespace == key.name]
        if not inside:
            server.release(key, {**body, "spec": {**body["spec"], "finalizers": []}})
            return True
        return any(_delete(server, k) for k in inside)
    return False


def _dependent(server: Server, key: Key, body: Object) -> bool:
    owners = objects.owners(body)
    if not owners:
        return False
    present = {objects.uid(other): other for other in server.objects.values()}
    lost = {owner.uid for owner in owners if owner.uid not in present}
    waiting = {o.uid for o in owners if o.uid in present and FOREGROUND in objects.at(present[o.uid], "metadata", "finalizers", default=[])}
    waiting = {owner for owner in waiting if objects.deleting(present[owner])}
    if len(lost | waiting) == len({owner.uid for owner in owners}):
        return _delete(server, key, foreground=bool(waiting and _dependents(server, objects.uid(body))))
    return bool(lost) and _let_go(server, key, lost | waiting)


def _dependents(server: Server, uid: str) -> list[Key]:
    return [key for key, body in server.objects.items() if any(owner.uid == uid for owner in objects.owners(body))]


def _blocks(dependent: Object, uid: str) -> bool:
    references: list[dict[str, Any]] = objects.at(dependent, "metadata", "ownerReferences", default=[])
    return any(reference["uid"] == uid and reference.get("blockOwnerDeletion") for reference in references)


def _used(server: Server, claim: Key) -> bool:
    """By a pod that has a node: no kubelet would start another with a claim that goes."""
    pods = [body for key, body in server.objects.items() if key.resource == POD and key.namespace == claim.namespace]
    volumes = [volume for pod in pods if objects.at(pod, "spec", "nodeName") for volume in objects.at(pod, "spec", "volumes", default=[])]
    return any(objects.at(volume, "persistentVolumeClaim", "claimName") == claim.name for volume in volumes)


def _delete(server: Server, key: Key, *, foreground: bool = False) -> bool:
    body = server.objects.get(key)
    if body is None or objects.deleting(body):
        return False
    server.delete(key, objects.uid(body), None, "Foreground" if foreground else "Background", dry_run=False)
    return True


def _drop(server: Server, key: Key, finalizer: str) -> bool:
    body = server.objects[key]
    left = [f for f in body["metadata"]["finalizers"] if f != finalizer]
    metadata = {**body["metadata"], "finalizers": left}
    if not left:
        del metadata["finalizers"]
    server.release(key, {**body, "metadata": metadata})
    return True


def _let_go(server: Server, key: Key, owners: set[str]) -> bool:
    body = server.objects[key]
    left = [reference for reference in body["metadata"]["ownerReferences"] if reference["uid"] not in owners]
    metadata = {**body["metadata"], "ownerReferences": left}
    if not left:
        del metadata["ownerReferences"]
    server.store(key, {**body, "metadata": metadata})
    return True
