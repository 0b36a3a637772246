"""Manifests that can be created again: without what the API server gives, and as YAML that every reader reads alike."""

from __future__ import annotations

import copy
import re
from typing import Any

import yaml

from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

GIVEN = (
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "managedFields",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "ownerReferences",  # they stand beside it: an owner that is not there any more would take the object with it
)
# Finalizers by which controllers of the API take notice of a deletion; on a new object nobody would take them off.
PASSING = ("foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking")
JOB_LABELS = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
GATE = "gsv-ops/put-back"

# Words that YAML readers take for something else than a string, by either of its versions.
_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z][\w./-]*", re.IGNORECASE | re.ASCII)


def bare(body: Object) -> tuple[Object, list[str]]:
    """What `kubectl create` takes to make it again, and what is said about it, a line each.

    What has run to its end must not run again by being put back: a Job comes back suspended, a pod with a gate before its scheduling.
    """
    # first without the rest, then copied: what the API server gives is most of an object
    metadata = copy.deepcopy({key: value for key, value in body["metadata"].items() if key not in GIVEN})
    found = {key: metadata if key == "metadata" else copy.deepcopy(value) for key, value in body.items() if key != "status"}
    finalizers = [name for name in metadata.pop("finalizers", None) or [] if name not in PASSING]
    if finalizers:
        metadata["finalizers"] = finalizers
    match (found["apiVersion"], found["kind"]):
        case ("batch/v1", "Job"):
            return found, _job(found)
        case ("v1", "Pod"):
            return found, _pod(found)
    return found, []


def dump(body: Object) -> str:
    """The object as YAML. Every string that is not a plain word is quoted: other readers take 1e3, or 0o17, for a number."""
    return str(yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30))


def load(text: str) -> Object:
    """The object that `dump` wrote. Raises yaml.YAMLError, ValueError."""
    found = yaml.load(text, Loader=_LOADER)  # noqa: S506  a SafeLoader
    if not isinstance(found, dict):
        raise ValueError("this is no object")
    return found


def _job(job: Object) -> list[str]:
    spec = job["spec"]
    said = "It comes back suspended, since it would run again."
    if spec.get("suspend"):
        said = "It was suspended."
    spec["suspend"] = True
    if not spec.get("manualSelector"):
        # made from the old Job's uid; the API server makes them anew and refuses others
        spec.pop("selector", None)
        for metadata in (job["metadata"], at(spec, "template", "metadata")):
            labels = {key: value for key, value in ((metadata or {}).get("labels") or {}).items() if key not in JOB_LABELS}
            if metadata:
                metadata.pop("labels", None)
            if labels:
                metadata["labels"] = labels
    return [f'{said} To run it: kubectl patch job {job["metadata"]["name"]} --type merge -p \'{{"spec":{{"suspend":false}}}}\'']


def _pod(pod: Object) -> list[str]:
    spec = pod["spec"]
    node = spec.pop("nodeName", None)
    spec.pop("ephemeralContainers", None)
    spec["schedulingGates"] = [*(gate for gate in spec.get("schedulingGates") or [] if gate.get("name") != GATE), {"name": GATE}]
    ran = f" It ran on node {node}." if node else ""
    return [f"It comes back with the scheduling gate {GATE}, since it would run again; remove the gate to run it.{ran}"]


# libyaml's where it is there
_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(_BASE):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if _PLAIN.fullmatch(value) else '"')


_Dumper.add_representer(str, _string)
