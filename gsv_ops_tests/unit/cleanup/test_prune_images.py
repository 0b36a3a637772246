"""No image that somebody needs, that is pinned or that nothing could bring back goes; no more goes than the disk asks for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.cleanup.images import prune, removal, used
from gsv_ops.cleanup.images.observe import Collection, Image, NodeImages
from gsv_ops.cleanup.images.prune import PRUNE_IMAGES, PruneImages, Seen
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import OperationFailed, PlanFrame
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.cleanup.a_runtime import NODE, ARuntime, desk

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SPEC = spec.load(None)


def image(name: str, size: int, number: int, *, pulled: bool = True, pinned: bool = False) -> Image:
    names = (f"r.io/{name}:1", *((f"r.io/{name}@sha256:{number:064x}",) if pulled else ()))
    return Image(names, size, f"sha256:{number:x}", pinned)


OLD, WEB, BIG = image("old", 10, 1), image("web", 20, 2), image("big", 30, 3)
ALL: dict[str, Any] = {"above_percent": 0, "down_to_percent": 0}


def pod(name: str, **status: Any) -> Object:
    container = {"name": "c", "image": name}
    metadata = {"name": "x", "namespace": "cmp"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}, "status": status}


def disk(used_: int) -> Collection:
    return Collection(85, 80, "2m0s", "0s", 50, used=used_, size=1000)


def planned(seen: Seen, **params: Any) -> Plan:
    chosen = PruneImages(**params)
    return prune.plan(SPEC, seen, chosen, PlanFrame("prune_images", "dev", "c-1", chosen.model_dump()), NOW)


def node(*images: Image, used_: int | str = 900) -> Seen:
    collection = used_ if isinstance(used_, str) else disk(used_)
    return Seen((NodeImages(NODE, images, collection, runtime=True),), used.users([pod("r.io/web:1")]))


def going(plan: Plan) -> list[str]:
    return [action.target.name for action in plan.actions]


def why(plan: Plan, name: str) -> str:
    return next(kept.reason for kept in plan.kept if kept.target.name == name)


def test_the_largest_go_first_and_no_more_than_the_disk_asks_for() -> None:
    found = [image(name, size, number) for number, (name, size) in enumerate([("a", 50), ("b", 120), ("c", 60), ("d", 40)])]
    plan = planned(node(*found, used_=850))
    assert going(plan) == ["r.io/b:1", "r.io/c:1"], "150 bytes are too many"
    assert "without it too the disk is to come down to 70 %" in why(plan, "r.io/a:1")
    assert plan.shown["bytes that go, at most"] == 180


def test_a_disk_below_the_threshold_loses_nothing() -> None:
    plan = planned(node(OLD, used_=790))
    assert not plan.actions
    assert "79 % full, not above 80 %" in why(plan, "r.io/old:1")


def test_the_threshold_can_be_another_for_one_run() -> None:
    assert going(planned(node(OLD, used_=600), above_percent=50, down_to_percent=40)) == ["r.io/old:1"]
    assert going(planned(node(OLD, used_=600), **ALL)) == ["r.io/old:1"]
    with pytest.raises(ValueError, match="nothing would go"):
        PruneImages(above_percent=40, down_to_percent=50)


def test_a_disk_that_is_not_known_loses_nothing_but_where_it_does_not_matter() -> None:
    plan = planned(node(OLD, used_="reading kubelets is not enabled"))
    assert not plan.actions
    assert "is not known (reading kubelets is not enabled)" in why(plan, "r.io/old:1")
    assert going(planned(node(OLD, used_="not enabled"), **ALL)) == ["r.io/old:1"]


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (WEB, "Pod cmp/x needs it"),
        (image("pause", 5, 7), "cleanup.images.keep has */pause:*"),
        (image("old", 5, 7, pinned=True), "pinned on the node"),
        (image("old", 5, 7, pulled=False), "imported and not pulled"),
        (Image((), 5, "sha256:7"), "imported and not pulled"),
    ],
)
def test_what_stays_says_why(kept: Image, reason: str) -> None:
    plan = planned(node(kept), **ALL)
    assert not plan.actions
    assert reason in plan.kept[0].reason


def test_what_was_imported_goes_if_that_is_asked_for() -> None:
    assert going(planned(node(image("old", 5, 7, pulled=False)), imported=True, **ALL)) == ["r.io/old:1"]
    running = Seen(node(Image((), 5, "sha256:7")).nodes, used.users([pod("x", containerStatuses=[{"imageID": "sha256:7"}])]))
    assert not planned(running, imported=True, **ALL).actions, "a pod runs it by its id"


def test_a_pattern_narrows_it() -> None:
    plan = planned(node(OLD, BIG), images="r.io/o*", **ALL)
    assert going(plan) == ["r.io/old:1"]
    assert "does not fit r.io/o*" in why(plan, "r.io/big:1")


def test_a_node_that_could_not_be_asked_is_told_and_loses_nothing() -> None:
    plan = planned(Seen((), {}, ("fake-1",), ((NODE, "it is not ready"),)), **ALL)
    assert not plan.actions
    assert {kept.target.name for kept in plan.kept} == {NODE, "fake-1"}
    assert "no node's runtime could be asked: it is not ready" in plan.refused[0].reason


def test_too_much_is_refused_whole() -> None:
    plan = planned(node(*(image(f"i{number}", 1, number) for number in range(30))), **ALL)
    assert "cleanup.most_percent" in plan.refused[0].reason


def test_the_plan_is_another_once_an_image_got_another_name() -> None:
    other = Image((*OLD.names, "r.io/old:2"), OLD.bytes, OLD.id)
    assert planned(node(OLD), **ALL).id != planned(node(other), **ALL).id
    assert planned(node(OLD, used_=900), **ALL).id == planned(node(OLD, used_=901), **ALL).id


NAMES = st.sampled_from(["web", "x/web", "api", "pause", "old"])
IMAGES = st.lists(
    st.builds(lambda name, size, pulled, pinned: (name, size, pulled, pinned), NAMES, st.integers(0, 99), st.booleans(), st.booleans()),
    max_size=8,
)


@given(IMAGES, st.lists(NAMES, max_size=3), st.integers(0, 1000), st.integers(0, 100), st.integers(0, 100), st.booleans())
def test_nothing_that_must_stay_is_ever_planned(
    told: list[tuple[str, int, bool, bool]], needed: list[str], full: int, above: int, down: int, imported: bool
) -> None:
    found = [image(name, size, number, pulled=pulled, pinned=pinned) for number, (name, size, pulled, pinned) in enumerate(told)]
    seen = Seen((NodeImages(NODE, tuple(found), disk(full), runtime=True),), used.users([pod(f"r.io/{name}:1") for name in needed]))
    plan = planned(seen, above_percent=max(above, down), down_to_percent=down, imported=imported)
    by_id = {one.id: one for one in found}
    chosen = [by_id[action.target.uid] for action in plan.actions]
    assert len(plan.actions) + len(plan.kept) == len(found)
    for one in chosen:
        assert not one.pinned
        assert one.pulled or imported
        assert not {name for name in one.names if name.split(":")[0].removeprefix("r.io/") in (*needed, "pause")}
    if chosen and down:
        assert full / 10 > max(above, down)
        rest = sum(one.bytes for one in chosen) - min(one.bytes for one in chosen)
        assert rest < full - 10 * down, "one less would have been enough"


def applied(kube: ARuntime, folder: Path, then: Any = lambda: None, **images: Any) -> tuple[Plan, Journal, Any]:
    at = desk(kube, folder, **images)
    params = PruneImages(**ALL)
    frame = PlanFrame("prune_images", "dev", "c-1", params.model_dump())
    plan = prune.plan(at.spec, prune.observe_nodes(at, params), params, frame, NOW)
    then()
    journal = Journal.open(at.records, "prune_images", "run-1")
    return plan, journal, lambda: removal.verify(at, plan, removal.execute(at, plan, journal))


def results(journal: Journal) -> dict[str, str]:
    return {outcome.target: outcome.result for outcome in journal.outcomes}


def test_they_are_removed_some_at_once_and_the_runtime_says_so(tmp_path: Path) -> None:
    kube = ARuntime(OLD, WEB, BIG)
    kube.put(pod("r.io/web:1"))
    _, journal, run = applied(kube, tmp_path, at_once=1)
    verdict = run()
    assert set(kube.images) == {WEB.id}
    assert [command[2:] for command in kube.asked if command[1] == "rmi"] == [[BIG.id], [OLD.id]]
    assert verdict.status == "good"
    assert (verdict.facts["images removed"], verdict.facts["bytes freed, at most"]) == (2, 40)
    assert set(results(journal).values()) == {"done"}
    assert kube.jobs() == []


def test_what_somebody_began_to_need_stays_and_the_others_go(tmp_path: Path) -> None:
    kube = ARuntime(OLD, BIG)
    _, journal, run = applied(kube, tmp_path, lambda: kube.put(pod("r.io/old:1")))
    with pytest.raises(ClusterMovedOn, match="Pod cmp/x needs it"):
        run()
    assert set(kube.images) == {OLD.id}
    assert results(journal) == {f"Image {NODE}/r.io/old:1": "failed", f"Image {NODE}/r.io/big:1": "done"}


@pytest.mark.parametrize(
    ("now", "said"),
    [(Image(OLD.names, 10, OLD.id, pinned=True), "pinned"), (Image((*OLD.names, "r.io/o:2"), 10, OLD.id), "its names were")],
)
def test_what_is_another_by_now_stays(now: Image, said: str, tmp_path: Path) -> None:
    kube = ARuntime(OLD)
    _, _, run = applied(kube, tmp_path, lambda: kube.images.update({OLD.id: now}))
    with pytest.raises(ClusterMovedOn, match=said):
        run()
    assert set(kube.images) == {OLD.id}


def test_what_the_runtime_does_not_remove_is_not_claimed(tmp_path: Path) -> None:
    kube = ARuntime(OLD, BIG)
    kube.stuck = {OLD.id}
    _, journal, run = applied(kube, tmp_path)
    with pytest.raises(ClusterMovedOn, match="the runtime did not remove it"):
        run()
    assert sorted(results(journal).values()) == ["done", "failed"]


def test_what_is_gone_already_is_fine_and_what_came_back_is_not(tmp_path: Path) -> None:
    kube = ARuntime(OLD)
    plan, journal, run = applied(kube, tmp_path, lambda: kube.images.clear())
    assert run().status == "good"
    assert set(results(journal).values()) == {"already"}
    kube.images[OLD.id] = OLD
    verdict = removal.verify(desk(kube, tmp_path), plan, {removal.BEFORE: {NODE: 10}})
    assert verdict.status == "bad"


def test_a_node_that_stops_answering_leaves_no_doubt_unsaid(tmp_path: Path) -> None:
    class Dying(ARuntime):
        def create(self, body: Object, *, dry_run: bool = False) -> Object:
            if any("rmi" in command for command in self.asked):
                self.deaf = {"phase": "Failed", "reason": "NodeLost"}
            return super().create(body, dry_run=dry_run)

    kube = Dying(OLD)
    _, journal, run = applied(kube, tmp_path)
    with pytest.raises(OperationFailed, match="NodeLost"):
        run()
    assert set(results(journal).values()) == {"unknown"}


@pytest.mark.parametrize(
    ("images", "said"), [({"prune": False}, "cleanup.images.prune: true"), ({"runtime": SPEC.cleanup.images.runtime}, "runtime.image")]
)
def test_where_it_is_not_enabled_it_says_what_to_set(images: dict[str, Any], said: str, tmp_path: Path) -> None:
    kube = ARuntime(OLD)
    with pytest.raises(OperationFailed) as caught:
        prune.observe_nodes(desk(kube, tmp_path, **images), PruneImages())
    assert said in caught.value.next_command
    assert kube.asked == []


def test_a_node_that_is_not_there_or_not_ready(tmp_path: Path) -> None:
    kube = ARuntime(OLD)
    with pytest.raises(NotFound, match="n2"):
        prune.observe_nodes(desk(kube, tmp_path), PruneImages(node="n2"))
    sick = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    kube.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "status": sick})
    assert "not ready" in prune.observe_nodes(desk(kube, tmp_path), PruneImages()).unasked[0][1]
    assert kube.asked == []


def test_it_needs_a_plan_that_was_read_even_where_others_do_not() -> None:
    assert PRUNE_IMAGES.plan_required
    waived = SPEC.model_copy(update={"cleanup": SPEC.cleanup.model_copy(update={"scheduled_deletions": True})})
    assert not PRUNE_IMAGES.plan_waived(waived)
