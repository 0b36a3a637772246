"""What a test decides in place of what is not here: what containers say, where ports lead, who may not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from gsv_ops.kube.protocol import Address, ExecResult, Object, Resource

Exec = Callable[[str, str, str, Sequence[str], str], ExecResult]
"""(namespace, pod, container, command, stdin) -> what it gave."""
Logs = Callable[[str, str, str, bool], str]
"""(namespace, pod, container, previous) -> the whole log."""
Node = Callable[[str, str], Object]
"""(node, where) -> what its kubelet answers there."""
OpenPort = Callable[[str, str, int], AbstractContextManager[Address]]
"""(namespace, pod, port) -> the opened port."""


class NotScripted(AssertionError):
    """The code under test did what the test did not provide for. No KubeError: nothing is to take it for a failure of the cluster's."""


@dataclass
class Scripts:
    """None: not scripted."""

    exec: Exec | None = None
    logs: Logs | None = None
    open_port: OpenPort | None = None
    node: Node | None = None


@dataclass(frozen=True)
class Denial:
    """What a user may not; None stands for any."""

    verb: str | None
    resource: Resource | None
    subresource: str
    namespace: str | None

    def covers(self, verb: str, resource: Resource, subresource: str, namespace: str | None) -> bool:
        return (
            self.verb in (None, verb)
            and self.resource in (None, resource)
            and (self.resource is None or self.subresource == subresource)
            and self.namespace in (None, namespace)
        )
