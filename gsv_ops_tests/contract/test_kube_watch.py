"""What `wait` promises while the network and the server fail under its watch."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.client import KubeClient, connect
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP
from gsv_ops_tests.contract.bodies import config_map, value
from gsv_ops_tests.contract.conftest import Cluster
from gsv_ops_tests.contract.faults import Answer, TcpProxy, faulty_api

pytestmark = pytest.mark.control_plane


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[tuple[TcpProxy, KubeClient]]:
    """A proxy before the API server, and a client that goes through it."""
    text = cluster.admin.read_text()
    server = text.split('"server": "')[1].split('"')[0]
    target = urlsplit(server)
    tcp = TcpProxy((str(target.hostname), int(target.port or 443)))
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(text.replace(server, tcp.url))
    try:
        yield tcp, connect(kubeconfig)
    finally:
        tcp.close()


def test_a_watch_that_breaks_is_opened_again_and_misses_nothing(
    kube: Kube, proxy: tuple[TcpProxy, KubeClient], namespace: str, later: Callable[..., None]
) -> None:
    tcp, through = proxy
    kube.create(config_map(namespace, "a", x="0"))
    shown: list[str] = []

    def note(body: Object | None) -> bool | None:
        shown.append(objects.at(body, "data", "x"))
        return True if shown[-1] == "2" else None

    def cut_and_change() -> None:
        for number in ("1", "2"):
            tcp.cut()
            kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": number}})
            time.sleep(0.8)

    later(0.5, cut_and_change)
    through.wait(CONFIG_MAP, "a", namespace, note, timeout=10, what="x to be 2")

    assert shown == ["0", "1", "2"]
    assert tcp.accepted >= 3


def test_the_deadline_holds_when_the_server_falls_silent(
    kube: Kube, proxy: tuple[TcpProxy, KubeClient], namespace: str, later: Callable[..., None]
) -> None:
    tcp, through = proxy
    kube.create(config_map(namespace, "a", x="0"))
    # The silence begins after a change: the time left counts from the start of the wait, not from the last thing heard.
    later(1.4, lambda: kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "other"}}))
    later(1.7, lambda: setattr(tcp, "silent", True))
    started = time.monotonic()

    with pytest.raises(errors.WaitTimeout):
        through.wait(CONFIG_MAP, "a", namespace, value("1"), timeout=2.0, what="x to be 1")

    assert 2.0 <= time.monotonic() - started < 2.0 + 3.0 + 0.9  # the search for events has three seconds


def test_a_server_that_is_away_for_a_while_does_not_end_a_wait(admin: KubeClient, namespace: str, later: Callable[..., None]) -> None:
    admin.create(config_map(namespace, "a", x="0"))
    with faulty_api(admin._transport, attempts=1) as (api, transport):
        api.rule = lambda seen, before: Answer(503, "ServiceUnavailable") if before < 5 else None
        later(0.2, lambda: admin.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "1"}}))

        KubeClient(transport).wait(CONFIG_MAP, "a", namespace, value("1"), timeout=20, what="x to be 1")


def test_a_server_that_stays_away_is_named_in_the_timeout(admin: KubeClient, namespace: str) -> None:
    with faulty_api(admin._transport, attempts=1) as (api, transport):
        api.rule = lambda seen, before: Answer(503, "ServiceUnavailable", "etcd has no leader")

        with pytest.raises(errors.WaitTimeout, match=r"the API server was away: .* etcd has no leader(.|\n)*the object was never seen"):
            KubeClient(transport).wait(CONFIG_MAP, "a", namespace, value("1"), timeout=1.0, what="x to be 1")


@pytest.mark.parametrize("how", ["status", "event"])
def test_a_version_that_is_gone_is_listed_anew(admin: KubeClient, namespace: str, how: str) -> None:
    admin.create(config_map(namespace, "a", x="0"))
    with faulty_api(admin._transport) as (api, transport):
        watches: list[str] = []

        def rule(seen: Any, before: int) -> Answer | None:
            if "watch=true" not in seen.query:
                return None
            watches.append(seen.query)
            admin.patch(CONFIG_MAP, "a", namespace, {"data": {"x": str(len(watches))}})
            if how == "status":
                return Answer(410, "Expired", "too old resource version")
            gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
            return Answer(200, raw=gone)

        api.rule = rule
        shown: list[str] = []

        def note(body: Object | None) -> bool | None:
            shown.append(objects.at(body, "data", "x"))
            return True if shown[-1] == "2" else None

        KubeClient(transport).wait(CONFIG_MAP, "a", namespace, note, timeout=10, what="x to be 2")

        assert shown == ["0", "1", "2"]
        assert len(watches) == 2
        assert api.count("GET", "/configmaps") == 5  # a list before, between and after the watches
