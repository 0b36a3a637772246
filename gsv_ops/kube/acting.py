"""Speaking as a ServiceAccount for one thing: what needs rights that the desk's own identity should not have.

Reading a node's kubelet, or pruning its images, takes rights that are nearly root. They belong to a ServiceAccount of their own; the desk's
identity may only ask a token for it, of that name alone:

    rules:
      - {apiGroups: [""], resources: ["serviceaccounts/token"], resourceNames: ["gsv-ops-logs"], verbs: ["create"]}

    with desk.kube.acting_as("gsv-ops", "gsv-ops-logs") as kube:
        kube.ask_node(node, "stats/summary")     # as the ServiceAccount
    desk.kube.get(...)                           # as the desk, before, within and after

The token lives for ten minutes, the shortest that the API gives; it stays in this process's memory, and is forgotten at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from gsv_ops.kube import errors, objects
from gsv_ops.kube.paths import path
from gsv_ops.kube.resources import SERVICE_ACCOUNT
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Call, Transport

SECONDS = 600


@contextmanager
def acting_as(transport: Transport, namespace: str, account: str) -> Iterator[Transport]:
    """The same API server, spoken to as that ServiceAccount by a token asked for now. Raises NotFound, Forbidden.

    After the context's end it speaks as nobody.
    """
    tokens = [_token(transport, namespace, account)]
    endpoint = replace(transport.endpoint, tls=transport.endpoint.bare_tls, authorization=lambda: f"Bearer {tokens[0]}" if tokens else None)
    acting = Transport(endpoint, transport.limits, transport.clock, transport.sleep)
    try:
        yield acting
    finally:
        tokens.clear()
        acting.close()


def _token(transport: Transport, namespace: str, account: str) -> str:
    about = Request("ask a token for", SERVICE_ACCOUNT, namespace, account, transport.endpoint.host)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": SECONDS}}
    token = objects.at(transport.json(Call(about, "POST", path(SERVICE_ACCOUNT, namespace, account, "token"), {}, body)), "status", "token")
    if not token:
        raise about.error(errors.UnexpectedResponse, f"{about.verb} {about.subject}: {about.host} gave none, and no reason")
    return str(token)
