"""An in-memory `Kube` for fast tests, held to the contract suite that the real API server passes (`gsv_ops_tests/contract`).

    kube = FakeKube(custom=[POSTGRES_CLUSTER])
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    kube.put({...})       # as a controller leaves it: with its status, and whatever else is given
    kube.forbid("delete", POD)
    kube.script(exec=lambda namespace, pod, container, command, stdin: ExecResult(0, "out", ""))

What the real one does and this one does not: it fills in no defaults of a spec (a NetworkPolicy's policyTypes, a container's
terminationMessagePath), checks no spec (only names, and the bodies of ConfigMaps and Secrets), lets every field be changed, counts no
quota, and in server-side apply gives a list one owner, but for finalizers and ownerReferences. Nothing schedules, runs or reconciles. With
`collects=True` garbage is collected and namespaces are emptied: at once, where the real collector takes a moment.
"""

from gsv_ops_tests.fake_kube.client import FakeKube
from gsv_ops_tests.fake_kube.scripts import NotScripted

__all__ = ["FakeKube", "NotScripted"]
