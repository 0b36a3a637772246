"""Whether an object in the cluster is the work of a request whose answer was lost."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import number_of

CLOCK_GRAIN = 2.0
"""Seconds: creationTimestamp and the Date header are both cut to whole ones."""
# A condition of the write, not something it sets.
CONDITIONS = ("resourceVersion", "uid")


def made_by(body: Object, stored: Object, manager: str, elapsed: float, server_time: float | None) -> bool:
    """Whether `stored` was created by our own earlier attempts at `body`, the first of which began `elapsed` seconds before `server_time`.

    It must be as young as the attempts by the server's own clock, created by our field manager, and hold every field that was sent.
    """
    if server_time is None or not holds(stored, body):
        return False
    age = server_time - objects.created(stored).timestamp()
    managers = objects.at(stored, "metadata", "managedFields", default=[])
    # An object without any field of its own has no managers either.
    ours = not managers or any(entry.get("manager") == manager and entry.get("operation") == "Update" for entry in managers)
    return ours and age <= elapsed + CLOCK_GRAIN


def holds(stored: Object, sent: Mapping[str, Any]) -> bool:
    """Whether every field of `sent` stands in `stored`; more may stand there, as defaults do. A null in `sent` stands for absence."""
    wanted = {key: value for key, value in sent.items() if key != "stringData"}
    plain = sent.get("stringData") or {}
    if plain:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        wanted["data"] = (wanted.get("data") or {}) | encoded
    if isinstance(wanted.get("metadata"), Mapping):
        wanted["metadata"] = {key: value for key, value in wanted["metadata"].items() if key not in CONDITIONS}
        if "uid" in sent["metadata"] and sent["metadata"]["uid"] != objects.uid(stored):
            return False
    return _within(wanted, stored)


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(_field_within(value, whole.get(key)) for key, value in part.items())
    if isinstance(part, Sequence) and not isinstance(part, str):
        return isinstance(whole, Sequence) and len(part) == len(whole) and all(map(_within, part, whole))
    return bool(part == whole) or _same_quantity(part, whole)


def _field_within(value: Any, stored: Any) -> bool:
    # The server drops empty maps and lists, and a null in a merge patch removes the field.
    if value is None:
        return stored is None
    if not value and isinstance(value, Mapping):
        return True  # asks for nothing
    if not value and isinstance(value, list):
        return not stored
    return _within(value, stored)


def _same_quantity(part: Any, whole: Any) -> bool:
    """The server writes quantities its own way: 1024Mi comes back as 1Gi."""
    if any(not isinstance(value, str | int) or isinstance(value, bool) for value in (part, whole)):
        return False
    try:
        return number_of(part) == number_of(whole)
    except ValueError:
        return False
