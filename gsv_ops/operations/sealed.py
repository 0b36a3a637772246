"""Values that a plan must not hold, such as a token in an environment variable: it names where they stand, and the write fills them in.

A plan says which object's which item is meant, and at which generation of that object, so that it is another plan once the value may be
another. There is no digest of the value in it: nothing to guess at. The value itself is only ever in what is sent to the API server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gsv_ops.kube import objects, resources
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.operations.operation import OperationFailed

_SEALED = re.compile(
    r"sealed: (?P<api>\S+) (?P<kind>\S+) (?P<namespace>[^\s/]*)/(?P<name>\S+) uid (?P<uid>\S*) "
    r"generation (?P<generation>\d+) (?P<path>\S+) (?P<item>.*)",
    re.DOTALL,
)


def items(found: Sequence[Mapping[str, Any]], origin: Object, path: str) -> list[dict[str, Any]]:
    """The named items at `path` of `origin`, each literal `value` in them replaced by where it stands.

    Of an origin without a uid, which is gone, those with a literal value are left out: it can be filled in from nowhere.
    """
    if not at(origin, "metadata", "uid"):
        return [dict(item) for item in found if "value" not in item]
    return [{**item, "value": _seal(origin, path, str(item["name"]))} if "value" in item else dict(item) for item in found]


def opened(kube: Kube, body: Any) -> Any:
    """The body with what is sealed in it filled in from the cluster. Raises OperationFailed where that is not there, or may be another."""
    cache: dict[tuple[str, ...], Object] = {}
    return _each(body, lambda text: _open(kube, text, cache))


def _seal(origin: Object, path: str, item: str) -> str:
    metadata = origin["metadata"]
    where = f"{origin['apiVersion']} {origin['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
    return f"sealed: {where} uid {metadata.get('uid', '')} generation {metadata.get('generation', 0)} {path} {item}"


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _each(inner, change) for key, inner in value.items()}
    return [_each(inner, change) for inner in value] if isinstance(value, list | tuple) else value


def _open(kube: Kube, text: str, cache: dict[tuple[str, ...], Object]) -> str:
    sealed = _SEALED.fullmatch(text)
    if sealed is None:
        return text
    api, kind, namespace, name, uid, generation, path, item = sealed.groups()
    where = f"{kind} {namespace}/{name}"
    key = (api, kind, namespace, name)
    if key not in cache:
        try:
            cache[key] = kube.get(resources.of({"apiVersion": api, "kind": kind}), name, namespace or None)
        except NotFound:
            raise OperationFailed(f"{where} is gone, and {path} {item} was to be taken from it; nothing was made. Plan again.") from None
    found = cache[key]
    now = (objects.uid(found), str(at(found, "metadata", "generation", default=0)))
    if now != (uid, generation):
        raise OperationFailed(
            f"{where} has changed since the plan was made (it is at generation {now[1]}, expected {generation}), and {path} {item} was "
            f"to be taken from it; nothing was made. Plan again."
        )
    for entry in at(found, *path.split("."), default=[]):
        if entry.get("name") == item and "value" in entry:
            return str(entry["value"])
    raise OperationFailed(f"{where} has no literal {path} {item} any more, expected one; nothing was made. Plan again.")
