"""The desk's Lease: who gets it when several want it, whatever their clocks say. On the fake the clock jumps where the real test sleeps."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from gsv_ops.kube import objects
from gsv_ops.kube.errors import NamespaceNotFound
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import LEASE
from gsv_ops.operations import lease
from gsv_ops_tests.contract.conftest import Clock

HOUR = timedelta(hours=1)


@pytest.fixture
def place(kube: Kube, namespace: str) -> str:
    """A namespace without a Lease."""
    for body in kube.list(LEASE, namespace):
        kube.delete(LEASE, objects.name(body), namespace, uid=objects.uid(body))
    return namespace


def stored(kube: Kube, namespace: str) -> Object:
    return kube.get(LEASE, lease.NAME, namespace)


def test_the_first_desk_holds_it_and_the_second_is_told_who_does(kube: Kube, clock: Clock, place: str) -> None:
    first = lease.hold(kube, place, 120, "prod/a/1", clock.now())
    second = lease.hold(kube, place, 120, "prod/b/2", clock.now())

    assert first.ours
    assert not second.ours
    assert second.holder == "prod/a/1"
    assert str(second).startswith(f"prod/a/1, since {clock.now():%Y-%m-%d %H:}")
    assert stored(kube, place)["spec"]["holderIdentity"] == "prod/a/1"


@pytest.mark.parametrize("taken_over", [False, True], ids=["free", "expired"])
def test_of_desks_that_race_for_it_exactly_one_holds_it(kube: Kube, clock: Clock, place: str, taken_over: bool) -> None:
    if taken_over:
        lease.hold(kube, place, 1, "prod/dead/0", clock.now())
        clock.sleep(3.2)
    desks = [f"prod/host-{i}/x" for i in range(8)]
    gate, found = threading.Barrier(len(desks)), dict[str, Any]()

    def race(name: str) -> None:
        gate.wait()
        found[name] = lease.hold(kube, place, 120, name, clock.now())

    threads = [threading.Thread(target=race, args=(name,)) for name in desks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    winners = [name for name in desks if found[name].ours]
    assert len(winners) == 1
    assert {held.holder for held in found.values()} == set(winners)
    assert stored(kube, place)["spec"]["holderIdentity"] == winners[0]


@pytest.mark.parametrize(("holders_clock", "others_clock"), [(-HOUR, HOUR), (HOUR, -HOUR), (HOUR, HOUR), (timedelta(0), timedelta(0))])
def test_whatever_the_clocks_say_it_is_kept_while_it_is_renewed_and_lost_once_it_is_not(
    kube: Kube, clock: Clock, place: str, holders_clock: timedelta, others_clock: timedelta
) -> None:
    lease.hold(kube, place, 3, "prod/a/1", clock.now(holders_clock))
    for _ in range(3):
        clock.sleep(1.5)
        assert lease.hold(kube, place, 3, "prod/a/1", clock.now(holders_clock)).ours
        assert not lease.hold(kube, place, 3, "prod/b/2", clock.now(others_clock)).ours

    clock.sleep(5.2)
    taken = lease.hold(kube, place, 3, "prod/b/2", clock.now(others_clock))
    lost = lease.hold(kube, place, 3, "prod/a/1", clock.now(holders_clock))

    assert taken.ours
    assert not lost.ours
    assert lost.holder == "prod/b/2"
    assert stored(kube, place)["spec"]["leaseTransitions"] == 1


def test_it_is_renewed_only_after_a_third_of_its_time(kube: Kube, clock: Clock, place: str) -> None:
    begun = clock.now()
    lease.hold(kube, place, 120, "prod/a/1", begun)
    first = objects.resource_version(stored(kube, place))
    lease.hold(kube, place, 120, "prod/a/1", begun + timedelta(seconds=39))
    assert objects.resource_version(stored(kube, place)) == first

    held = lease.hold(kube, place, 120, "prod/a/1", begun + timedelta(seconds=41))

    assert objects.resource_version(stored(kube, place)) != first
    assert held.since == f"{begun:%Y-%m-%d %H:%M:%S} UTC"


def test_a_desk_whose_clock_was_set_back_renews_at_once(kube: Kube, clock: Clock, place: str) -> None:
    lease.hold(kube, place, 120, "prod/a/1", clock.now())
    first = objects.resource_version(stored(kube, place))
    assert lease.hold(kube, place, 120, "prod/a/1", clock.now(-HOUR)).ours
    assert objects.resource_version(stored(kube, place)) != first


def test_a_lease_that_somebody_gave_up_is_taken_at_once(kube: Kube, clock: Clock, place: str) -> None:
    lease.hold(kube, place, 3600, "prod/a/1", clock.now())
    kube.patch(LEASE, lease.NAME, place, {"spec": {"holderIdentity": None}})
    assert lease.hold(kube, place, 120, "prod/b/2", clock.now()).ours


def test_a_namespace_that_does_not_exist_is_told(kube: Kube, clock: Clock) -> None:
    with pytest.raises(NamespaceNotFound, match="no-such-place"):
        lease.hold(kube, "no-such-place", 120, "prod/a/1", clock.now())
