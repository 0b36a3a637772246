"""Whether what workloads stand on is well: volumes, services, namespaces, nodes, definitions."""

from __future__ import annotations

from gsv_ops.kube import objects
from gsv_ops.kube.health.verdict import Health
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object


def volume_claim(body: Object) -> Health:
    match at(body, "status", "phase"):
        case "Bound":
            for type_ in ("Resizing", "FileSystemResizePending"):
                resizing = objects.condition(body, type_)
                if resizing and resizing.true:
                    return Health("Progressing", f"it is being resized: {resizing}")
            return Health("Healthy", f"it is bound to {at(body, 'spec', 'volumeName', default='a volume')}")
        case "Pending":
            return Health("Progressing", "it waits for a volume, or for the first pod that uses it")
        case "Lost":
            return Health("Degraded", "its volume is lost")
        case phase:
            return Health("Unknown", f"its phase is {phase or 'not reported yet'}")


def service(body: Object) -> Health:
    """A load balancer is well when it has an address; any other Service has nothing to wait for."""
    if at(body, "spec", "type", default="ClusterIP") != "LoadBalancer":
        return Health("Healthy", "it exists")
    addresses = [entry.get("ip") or entry.get("hostname") for entry in at(body, "status", "loadBalancer", "ingress", default=[])]
    if any(addresses):
        return Health("Healthy", f"its address is {', '.join(str(address) for address in addresses if address)}")
    return Health("Progressing", "its load balancer has no address yet")


def namespace(body: Object) -> Health:
    phase = at(body, "status", "phase")
    if phase == "Active":
        return Health("Healthy", "it is active")
    return Health("Progressing", "it is being deleted") if phase == "Terminating" else Health("Unknown", f"its phase is {phase}")


def node(body: Object) -> Health:
    ready = objects.condition(body, "Ready")
    if ready is None or ready.status == "Unknown":
        return Health("Unknown", f"its kubelet does not report: {ready}" if ready else "its kubelet has not reported yet")
    if not ready.true:
        return Health("Degraded", f"it is not ready: {ready}")
    return Health("Suspended", "it is cordoned") if at(body, "spec", "unschedulable") else Health("Healthy", "it is ready")


def custom_resource_definition(body: Object) -> Health:
    names = objects.condition(body, "NamesAccepted")
    if names and names.status == "False":
        return Health("Degraded", f"its names are taken: {names}")
    established = objects.condition(body, "Established")
    if established and established.true:
        return Health("Healthy", "it is established")
    return Health("Progressing", f"it is not served yet: {established}" if established else "it is not served yet")
