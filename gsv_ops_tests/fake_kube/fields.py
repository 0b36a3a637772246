"""Who manages which field: what server-side apply decides by, kept in metadata.managedFields as the API server keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object

Path = tuple[str, ...]
"""Steps as fieldsV1 writes them: `f:name`, `v:"element of a set"`, `k:{"key":"of a list's element"}`."""
Leaves = dict[Path, Any]

# What stood in an object without managers belongs to them once it is applied to.
UNKNOWN = "before-first-apply"
SETS = (("f:metadata", "f:finalizers"),)
KEYED: dict[Path, str] = {("f:metadata", "f:ownerReferences"): "uid"}
SYSTEM = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields")
UNMANAGED = {("f:apiVersion",), ("f:kind",), *(("f:metadata", f"f:{field}") for field in ("name", "namespace", *SYSTEM))}


@dataclass(frozen=True)
class Manager:
    """A field manager: the same name by another operation is another one."""

    name: str
    operation: str = "Update"
    subresource: str = ""


@dataclass(frozen=True)
class Managed:
    """The fields of one manager, and when it last changed any."""

    fields: frozenset[Path]
    time: str


Managers = dict[Manager, Managed]


class Conflicts(Exception):
    """Others manage fields that an apply would change: `found` holds (manager's name, field)."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        super().__init__(found)
        self.found = found


def after_update(old: Object | None, new: Object, manager: Manager, time: str, *, status: bool) -> Managers:
    """The managers of `new`, which `manager` made of `old`. `status`: whether the write could set it."""
    managers = read(old or {})
    if old is not None and not managers:
        return {}  # the API server begins to keep them with an object's creation or its first apply
    before, after = leaves(old or {}, status), leaves(new, status)
    set_now = frozenset(path for path, value in after.items() if path not in before or before[path] != value)
    gone = frozenset(before) - frozenset(after)
    others = {m: replace(managed, fields=managed.fields - set_now - gone) for m, managed in managers.items() if m != manager}
    own = managers.get(manager, Managed(frozenset(), time))
    if set_now or gone:
        own = Managed((own.fields - gone) | set_now, time)
    return {m: managed for m, managed in {**others, manager: own}.items() if managed.fields}


def after_apply(live: Object | None, config: Object, manager: Manager, time: str, *, force: bool, status: bool) -> tuple[Object, Managers]:
    """(what comes of applying `config`, its managers). Raises Conflicts."""
    managers = read(live or {})
    before = leaves(live or {}, status)
    if live is not None and not managers:
        managers = {Manager(UNKNOWN): Managed(frozenset(before), time)}
    others = {m: managed for m, managed in managers.items() if m != manager}
    wanted = frozenset(leaves(config, status))
    found = _merged(live or {}, config)
    kept = wanted.union(*(managed.fields for managed in others.values()))
    for path in managers.get(manager, Managed(frozenset(), time)).fields - kept:
        _remove(found, path)
    after = leaves(found, status)
    set_now = frozenset(path for path, value in after.items() if path not in before or before[path] != value)
    conflicts = [(m.name, shown(path)) for m, managed in others.items() for path in sorted(managed.fields & set_now)]
    if conflicts and not force:
        raise Conflicts(conflicts)
    gone = frozenset(before) - frozenset(after)
    others = {m: replace(managed, fields=managed.fields - set_now - gone) for m, managed in others.items()}
    return found, {m: managed for m, managed in {**others, manager: Managed(wanted, time)}.items() if managed.fields}


def read(body: Object) -> Managers:
    found: Managers = {}
    for entry in objects.at(body, "metadata", "managedFields", default=[]):
        manager = Manager(entry["manager"], entry["operation"], entry.get("subresource", ""))
        found[manager] = Managed(frozenset(_paths(entry["fieldsV1"])), entry["time"])
    return found


def write(body: Object, managers: Managers) -> None:
    """Into the body: those who apply first, then by time."""
    entries = []
    for manager, managed in sorted(managers.items(), key=lambda item: (item[0].operation, item[1].time, item[0].name)):
        entry = {"manager": manager.name, "operation": manager.operation, "apiVersion": body["apiVersion"], "time": managed.time}
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": _tree(managed.fields)}
        entries.append(entry | ({"subresource": manager.subresource} if manager.subresource else {}))
    body["metadata"].pop("managedFields", None)
    if entries:
        body["metadata"]["managedFields"] = entries


def leaves(body: Object, status: bool) -> Leaves:
    """Every field that can have a manager, with its value. Lists are one field, but for those in SETS and KEYED."""
    found: Leaves = {}
    _collect(body, (), found)
    return {path: value for path, value in found.items() if status or path[0] != "f:status"}


def shown(path: Path) -> str:
    """`.data.x`, as a conflict names it."""
    return "".join(f".{step[2:]}" if step.startswith("f:") else f"[{step[2:]}]" for step in path)


def _collect(value: Any, path: Path, found: Leaves) -> None:
    if path in UNMANAGED:
        return
    if isinstance(value, Mapping) and value:
        for key, entry in value.items():
            _collect(entry, (*path, f"f:{key}"), found)
    elif path in SETS and value:
        found.update({(*path, f"v:{json.dumps(entry)}"): entry for entry in value})
    elif path in KEYED and value:
        found.update({(*path, _element(path, entry)): entry for entry in value})
    elif path and path != ("f:metadata",):
        found[path] = value


def _element(path: Path, entry: Mapping[str, Any]) -> str:
    return "k:" + json.dumps({KEYED[path]: entry[KEYED[path]]}, separators=(",", ":"))


def _merged(live: Any, config: Any, path: Path = ()) -> Any:
    if isinstance(live, dict) and isinstance(config, dict):
        found = {key: _merged(live.get(key), value, (*path, f"f:{key}")) for key, value in config.items()}
        return {**json.loads(json.dumps(live)), **found}
    if path in SETS and live:
        return [*live, *(entry for entry in config if entry not in live)]
    if path in KEYED and live:
        ours = {_element(path, entry) for entry in config}
        return [*(entry for entry in live if _element(path, entry) not in ours), *config]
    return config


def _remove(value: Any, path: Path) -> None:
    """The field, and every map or list that becomes empty by it."""
    step, *rest = path
    key = step[2:]
    if step.startswith("f:"):
        if not isinstance(value, dict) or key not in value:
            return
        if rest:
            _remove(value[key], tuple(rest))
            if value[key] not in ({}, []) or step == "f:metadata":
                return
        del value[key]
    elif step.startswith("v:"):
        value[:] = [entry for entry in value if entry != json.loads(key)]
    else:
        wanted = json.loads(key)
        value[:] = [entry for entry in value if any(entry.get(k) != v for k, v in wanted.items())]


def _tree(fields: frozenset[Path]) -> Object:
    root: Object = {}
    for path in sorted(fields):
        node = root
        for step in path:
            node = node.setdefault(step, {})
    return root


def _paths(tree: Mapping[str, Any], path: Path = ()) -> list[Path]:
    return [path] if not tree else [found for step, below in tree.items() for found in _paths(below, (*path, step))]
