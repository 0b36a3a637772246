"""The Kubernetes objects of a Kustomize overlay, without Kustomize: the small part of it that deploy/gitops uses.

A kustomization here has `resources` (files beside it, or directories with a kustomization of their own), `patches`, each a
`path` and a `target` of kind and name, and `images`. A patch is a JSON merge patch (RFC 7396), which is how Kustomize itself
patches a custom resource. An image gets its new name where a container runs it, and not in a custom resource. Anything else is
refused: silently leaving it out would apply something other than what is written there.
"""

import re
from pathlib import Path

import yaml

from gsv_sandbox.errors import SandboxError

FILE = "kustomization.yaml"
FIELDS = {"apiVersion", "kind", "resources", "patches", "images"}
IMAGE_FIELDS = {"name", "newName", "newTag"}
TAG = re.compile(r":(?!.*[:/])")

Object = dict[str, object]


class OverlayError(SandboxError):
    """A kustomization that this renderer does not understand, or that does not fit together; names the file."""


def render(overlay: Path) -> list[Object]:
    """Every object of the overlay directory, patched, in the order in which the resources are listed. Raises OverlayError."""
    file = overlay / FILE
    kustomization = _one(file)
    if unknown := sorted(set(kustomization) - FIELDS):
        raise OverlayError(f"{file}: {', '.join(unknown)} is not supported", f"use only {', '.join(sorted(FIELDS))}")
    if kustomization.get("kind") != "Kustomization":
        raise OverlayError(f"{file}: kind is {kustomization.get('kind')!r}, expected 'Kustomization'")
    objects: list[Object] = []
    for name in _strings(kustomization, "resources", file):
        objects += _resource(overlay, name, file)
    _refuse_doubles(objects, file)
    for patch in _list(kustomization, "patches", file):
        _apply(patch, objects, overlay, file)
    for image in _list(kustomization, "images", file):
        if not isinstance(image, dict) or "name" not in image or not set(image) <= IMAGE_FIELDS:
            raise OverlayError(f"{file}: an image has a name, and a newName or newTag; this one is {image!r}")
        _rename({str(key): str(value) for key, value in image.items()}, objects)
    return objects


def merge(target: object, patch: object) -> object:
    """target after the JSON merge patch: objects are merged, null removes a key, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _resource(directory: Path, name: str, file: Path) -> list[Object]:
    path = directory / name
    if path.is_dir():
        return render(path.resolve())
    if path.resolve().parent != directory.resolve():
        raise OverlayError(f"{file}: the resource {name} is neither a directory nor a file beside the kustomization")
    return _documents(path)


def _apply(patch: object, objects: list[Object], directory: Path, file: Path) -> None:
    if not isinstance(patch, dict) or set(patch) != {"path", "target"}:
        raise OverlayError(f"{file}: a patch has a path and a target, and nothing else; this one is {patch!r}")
    target = patch["target"]
    if not isinstance(target, dict) or set(target) != {"kind", "name"}:
        raise OverlayError(f"{file}: the target of {patch['path']} is {target!r}, expected a kind and a name")
    fitting = [number for number, one in enumerate(objects) if _kind_and_name(one) == (target["kind"], target["name"])]
    if len(fitting) != 1:
        named = f"{target['kind']}/{target['name']}"
        raise OverlayError(f"{file}: the patch {patch['path']} must fit one object; {len(fitting)} are {named}")
    body = _one(directory / str(patch["path"]))
    before = objects[fitting[0]]
    after = merge(before, body)
    assert isinstance(after, dict), "an object patched with an object is an object"
    if _identity(after) != _identity(before):
        raise OverlayError(f"{directory / str(patch['path'])}: a patch may not change kind, name or namespace")
    objects[fitting[0]] = after


def _rename(image: dict[str, str], value: object) -> None:
    """Give the image its new name and tag in every list of containers below value."""
    if isinstance(value, list):
        for item in value:
            _rename(image, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            for container in item if key in ("containers", "initContainers") and isinstance(item, list) else ():
                # a registry's port stands before a slash, a tag after the last one
                name, tag = (*TAG.split(str(container.get("image", ""))), "latest")[:2]
                if name == image["name"]:
                    container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"
            _rename(image, item)


def _refuse_doubles(objects: list[Object], file: Path) -> None:
    seen = set()
    for one in objects:
        if _identity(one) in seen:
            raise OverlayError(f"{file}: {'/'.join(_kind_and_name(one))} is listed twice")
        seen.add(_identity(one))


def _identity(one: Object) -> tuple[str, str, str, str]:
    metadata = one.get("metadata")
    namespace = metadata.get("namespace", "") if isinstance(metadata, dict) else ""
    return (str(one.get("apiVersion")), *_kind_and_name(one), str(namespace))


def _kind_and_name(one: Object) -> tuple[str, str]:
    metadata = one.get("metadata")
    return str(one.get("kind")), str(metadata.get("name") if isinstance(metadata, dict) else None)


def _documents(path: Path) -> list[Object]:
    try:
        documents = [one for one in yaml.safe_load_all(path.read_text()) if one is not None]
    except FileNotFoundError:
        raise OverlayError(f"{path} does not exist", f"create it, or take it out of the {FILE} that lists it") from None
    except yaml.YAMLError as error:
        raise OverlayError(f"{path} is not valid YAML: {error}") from None
    for one in documents:
        if not isinstance(one, dict) or not {"apiVersion", "kind"} <= set(one):
            raise OverlayError(f"{path}: every document needs an apiVersion and a kind")
    return documents


def _one(path: Path) -> Object:
    documents = _documents(path)
    if len(documents) != 1:
        raise OverlayError(f"{path} holds {len(documents)} documents, expected one")
    return documents[0]


def _list(kustomization: Object, field: str, file: Path) -> list[object]:
    value = kustomization.get(field, [])
    if not isinstance(value, list):
        raise OverlayError(f"{file}: {field} is a {type(value).__name__}, expected a list")
    return value


def _strings(kustomization: Object, field: str, file: Path) -> list[str]:
    values = _list(kustomization, field, file)
    if not all(isinstance(value, str) for value in values):
        raise OverlayError(f"{file}: every entry of {field} must be a path; they are {values!r}")
    return [str(value) for value in values]
