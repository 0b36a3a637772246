"""The kinds of patch, each on a body of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gsv_ops.kube.protocol import Object
from gsv_ops_tests.fake_kube.refusals import patch_failed
from gsv_ops_tests.fake_kube.scripts import NotScripted

BY_NAME = ("containers", "initContainers")


def merged(value: Any, patch: Any) -> Any:
    """RFC 7386: maps are merged, a null removes, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(value) if isinstance(value, Mapping) else {}
    for key, entry in patch.items():
        if entry is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), entry)
    return found


def strategic(value: Any, patch: Any, field: str = "") -> Any:
    """A merge patch whose lists of containers are merged by name. Raises NotScripted for other lists, and for what begins with `$`."""
    if isinstance(patch, list):
        if field not in BY_NAME:
            raise NotScripted(f"the fake does not know how a strategic merge patch treats the list {field!r}; send a merge or a json patch")
        changes = {item["name"]: item for item in patch}
        known = [item["name"] for item in value or []]
        kept = [strategic(item, changes.get(item["name"], {})) for item in value or []]
        return [*(strategic({}, item) for name, item in changes.items() if name not in known), *kept]
    if not isinstance(patch, Mapping):
        return patch
    found = dict(value) if isinstance(value, Mapping) else {}
    for key, entry in patch.items():
        if str(key).startswith("$"):
            raise NotScripted(f"the fake does not know {key} of a strategic merge patch")
        if entry is None:
            found.pop(key, None)
        else:
            found[key] = strategic(found.get(key), entry, str(key))
    return found


def operated(body: Object, operations: Sequence[Mapping[str, Any]]) -> Object:
    """RFC 6902, as lenient as the API server: `replace` of a key that is not there adds it. Raises Refusal for what does not apply."""
    root: Any = {"": body}
    for operation in operations:
        try:
            match operation["op"]:
                case "add":
                    _put(root, operation["path"], operation["value"], insert=True)
                case "replace":
                    _put(root, operation["path"], operation["value"], insert=False)
                case "remove":
                    _take(root, operation["path"])
                case "move":
                    _put(root, operation["path"], _take(root, operation["from"]), insert=True)
                case "copy":
                    _put(root, operation["path"], _look(root, operation["from"]), insert=True)
                case "test":
                    if _look(root, operation["path"], missing=None) != operation["value"]:
                        raise patch_failed()
                case _:
                    raise patch_failed()
        except (KeyError, IndexError, ValueError, TypeError):
            raise patch_failed() from None
    found: Object = root[""]
    return found


_MISSING = object()


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")]


def _parent(root: Any, pointer: str) -> tuple[Any, str]:
    *way, last = _steps(pointer)
    for step in way:
        root = root[int(step)] if isinstance(root, list) else root[step]
    return root, last


def _look(root: Any, pointer: str, missing: Any = _MISSING) -> Any:
    parent, last = _parent(root, pointer)
    if isinstance(parent, list):
        return parent[int(last)]
    return parent[last] if missing is _MISSING else parent.get(last, missing)


def _put(root: Any, pointer: str, value: Any, *, insert: bool) -> None:
    parent, last = _parent(root, pointer)
    if not isinstance(parent, list):
        parent[last] = value
    elif insert:
        at = len(parent) if last == "-" else int(last)
        if at > len(parent):
            raise IndexError(at)
        parent.insert(at, value)
    else:
        parent[int(last)] = value


def _take(root: Any, pointer: str) -> Any:
    parent, last = _parent(root, pointer)
    return parent.pop(int(last)) if isinstance(parent, list) else parent.pop(last)
