"""Who else writes a field, and so would undo or fight a change of it: an operator, Argo CD, Flux, Helm. Pure.

What tells is the object itself: its controller reference, what Argo CD tracks it as, and by managedFields who wrote the very field.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

TRACKED = "argocd.argoproj.io/tracking-id"
INSTANCE = "app.kubernetes.io/instance"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
RELEASE = "meta.helm.sh/release-name"
ARGO = "argocd"
FLUX = ("kustomize-controller", "helm-controller")

Path = tuple[str, ...]
"""Where a field stands. A step `name=web` is the item of a list that has that name."""


@dataclass(frozen=True)
class Tracking:
    """What is known of Argo CD here: the Application that tracks the object, and why Applications could not be read (empty: they were)."""

    application: Object | None = None
    unread: str = ""


@dataclass(frozen=True)
class Holder:
    """What becomes of a change. `refused`: why it must not be made so. `said`: what to know of it, a line each."""

    refused: str = ""
    said: tuple[str, ...] = ()


def tracked_by(body: Object) -> str:
    """The name of the Application that may track the object; empty if none does."""
    tracked = objects.annotations(body).get(TRACKED, "")
    name, _, rest = tracked.partition(":")
    # the id is copied along with the object, and then counts for nothing
    if rest and rest.endswith(f":{objects.namespace(body)}/{objects.name(body)}"):
        return name.rpartition("_")[2]
    return "" if tracked else objects.labels(body).get(INSTANCE, "")


def holder(body: Object, paths: Sequence[Path], tracking: Tracking, field: str) -> Holder:
    """Who else holds any of these fields of the object. `field` names them in what is said (`spec.replicas`)."""
    owner = objects.controller(body)
    if owner is not None:
        return Holder(
            f"it belongs to {owner.kind} {owner.name}, whose operator sets {field} itself and would undo this: change the {owner.kind}"
        )
    managers = {manager for path in paths for manager in managers_of(body, path)}
    held = bool(managers) or any(last_applied(body, path) for path in paths)
    if flux := sorted(managers & set(FLUX)):
        return Holder(f"Flux ({', '.join(flux)}) sets {field} and puts back what Git says: change it there")
    argo = any(manager.startswith(ARGO) for manager in managers)
    application = tracking.application
    if application is not None:
        return _by_application(application, paths, argo or (held and last_applied_any(body, paths)) or _unknown(body), field)
    if argo:
        why = f"its Application could not be read: {tracking.unread}" if tracking.unread else "its Application is not on this cluster"
        return Holder(f"Argo CD sets {field}, and whether it puts it back is not known ({why}): set it in Git")
    if objects.annotations(body).get(TRACKED) and tracking.unread:
        return Holder(said=(f"Argo CD tracks it, and its Application could not be read ({tracking.unread}); it does not set {field}",))
    release = objects.annotations(body).get(RELEASE)
    if release and held:
        return Holder(said=(f"Helm release {release} made it: set {field} in its values too, or the next upgrade may set it back",))
    return Holder()


def managers_of(body: Object, path: Path) -> list[str]:
    """The field managers that own the field, or something in it."""
    found = []
    for entry in at(body, "metadata", "managedFields", default=[]):
        tree = entry.get("fieldsV1") or {}
        for step in path:
            tree = tree.get(_key(step)) if isinstance(tree, dict) else None
        if tree is not None:
            found.append(str(entry.get("manager")))
    return found


def last_applied(body: Object, path: Path) -> bool:
    """Whether what was applied last, by kubectl or Argo CD, has the field."""
    try:
        value = json.loads(objects.annotations(body).get(LAST_APPLIED, "null"))
    except ValueError:
        return False
    for step in path:
        name = step.removeprefix("name=")
        if isinstance(value, list):
            value = next((item for item in value if isinstance(item, dict) and item.get("name") == name), None)
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value is not None


def last_applied_any(body: Object, paths: Sequence[Path]) -> bool:
    """Whether what was applied last has any of the fields."""
    return any(last_applied(body, path) for path in paths)


def self_heals(application: Object) -> bool:
    """Whether the Application puts back by itself what differs from Git."""
    automated = at(application, "spec", "syncPolicy", "automated")
    return automated is not None and automated.get("enabled") is not False and bool(automated.get("selfHeal"))


def git_path(application: Object) -> str:
    """Where in Git the Application's manifests lie."""
    sources = at(application, "spec", "sources") or [at(application, "spec", "source", default={})]
    told = []
    for source in sources:
        values = at(source, "helm", "valueFiles", default=[])
        where = source.get("path") or source.get("chart") or "its root"
        told.append(f"{source.get('repoURL')} {where}" + (f" ({', '.join(values)})" if values else ""))
    return ", ".join(told)


def _by_application(application: Object, paths: Sequence[Path], held: bool, field: str) -> Holder:
    name = objects.name(application)
    if all(_ignored(application, path) for path in paths):
        return Holder(said=(f"application {name} of Argo CD ignores differences of {field}",))
    if not held:
        return Holder(said=(f"application {name} of Argo CD tracks it; Git does not set {field}, so this stays",))
    if self_heals(application):
        return Holder(
            f"application {name} of Argo CD puts back what Git says within seconds (selfHeal): set {field} in {git_path(application)}, "
            "and let it sync"
        )
    return Holder(said=(f"it lasts until the next sync of application {name} of Argo CD: set {field} in {git_path(application)} too",))


def _unknown(body: Object) -> bool:
    """Whether nobody wrote down who manages what: then the field may be anybody's."""
    return not at(body, "metadata", "managedFields", default=[])


def _ignored(application: Object, path: Path) -> bool:
    pointer = "/" + "/".join(path)
    for rule in at(application, "spec", "ignoreDifferences", default=[]):
        if any(pointer == one or pointer.startswith(f"{one}/") for one in rule.get("jsonPointers") or []):
            return True
        if any(f".{'.'.join(path)}" == one for one in rule.get("jqPathExpressions") or []):
            return True
    return False


def _key(step: str) -> str:
    name = step.removeprefix("name=")
    return f"f:{step}" if name == step else f'k:{{"name":"{name}"}}'
