"""A toy operation that changes a dictionary instead of a cluster, and a desk for it that reaches no cluster.

`WORLD` is what the toy observes and changes. A test sets what goes wrong in it; jobs run in this process, so they all see it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NoReturn

import dagster as dg
from pydantic import Field
from upath import UPath

from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.kube.resources import LEASE, NAMESPACE
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.jobs import operation_asset, operation_job
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Check, Desk, Operation, Params, PlanFrame, Verdict
from gsv_ops.operations.plan import RUN_NAME, Action, Plan, Refused, Target
from gsv_ops.operations.store import PlanStore
from gsv_ops.platform.spec import PlatformSpec

HERE = "5bb2a9a2-6a0c-4f0e-9d0a-000000000001"
THING = Target("v1", "ConfigMap", f"thing-{RUN_NAME}", "cmp")
KEY = dg.AssetKey(["toys", "thing"])
CHECKS = ("it_is_there", "it_is_pretty")


class OnlyIdentity:
    """A Kube that knows which cluster it is, and where everything else fails."""

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        assert (resource, name) == (NAMESPACE, "kube-system"), f"the toy read {resource.qualified} {name}"
        return {"metadata": {"uid": WORLD.identity}}

    def list(self, resource: Resource, namespace: str | None = None, *, fields: str = "", **others: Any) -> list[Object]:
        assert (resource, fields) == (LEASE, "metadata.name=gsv-ops-freeze"), f"the toy listed {resource.qualified}"
        return [WORLD.freeze] if WORLD.freeze else []

    def __getattr__(self, verb: str) -> NoReturn:
        raise AssertionError(f"the toy used {verb}")


@dataclass
class World:
    """What the toy sees (`colour`), what it did, and what is to go wrong."""

    identity: str = HERE
    freeze: Object | None = None
    colour: str = "red"
    refusal: str = ""
    verdict: Verdict = field(default_factory=lambda: Verdict("good", "it is there"))
    on_execute: Callable[[Desk, Journal], None] = lambda desk, journal: None
    on_release: Callable[[Desk, Journal], None] = lambda desk, journal: None
    on_verify: Callable[[], None] = lambda: None
    executed: int = 0
    released: list[str] = field(default_factory=list)


WORLD = World()
factory = DeskFactory(OnlyIdentity())  # type: ignore[arg-type]


class MakeThing(Params):
    """What may be chosen of a thing."""

    size: int = Field(default=1, ge=1, le=9, description="How large.")
    label: str = Field(default="plain", description="What stands on it.")


def observe(desk: Desk, params: MakeThing) -> str:
    return WORLD.colour


def plan(spec: PlatformSpec, snapshot: str, params: MakeThing, frame: PlanFrame, now: datetime) -> Plan:
    if WORLD.refusal:
        return frame.plan(refused=(Refused(THING, WORLD.refusal),), facts={"colour": snapshot})
    return frame.plan(actions=(Action("create", THING, f"a {snapshot} thing"),), facts={"colour": snapshot}, seen=1)


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    WORLD.executed += 1
    target = THING.for_run(desk.run_id)
    journal.will_make(target)
    journal.outcome("create", target, "done")
    WORLD.on_execute(desk, journal)
    return {"made": str(target), "time": WORLD.executed}


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    WORLD.on_verify()
    return WORLD.verdict


def release(desk: Desk, journal: Journal) -> None:
    WORLD.released.append(journal.root_run_id)
    WORLD.on_release(desk, journal)
    journal.release()


def toy(name: str = "make_thing", **changes: Any) -> Operation[Any, Any]:
    parts: dict[str, Any] = {
        "name": name,
        "description": "Makes a thing.",
        "params": MakeThing,
        "observe": observe,
        "plan": plan,
        "execute": execute,
        "verify": verify,
        "release": release,
        "rerun": "yes; it adopts what it made.",
    }
    return Operation(**(parts | changes))


def good_and_bad(pretty: bool) -> list[Check]:
    return [Check("it_is_there", True, "there"), Check("it_is_pretty", pretty, "looked at", "WARN", {"beauty": 7})]


@cache
def definitions() -> dg.Definitions:
    """The toy as an op job, as one that is only applied by a plan, and as an asset."""
    asset = operation_asset(
        toy("paint_thing"),
        KEY,
        checks=[dg.AssetCheckSpec(name, asset=KEY) for name in CHECKS],
        group="toys",
        kinds={"toy"},
        description="A painted thing.",
    )
    return dg.Definitions(
        assets=[asset.asset],
        jobs=[operation_job(toy()), operation_job(toy("risk_thing", plan_required=True)), asset.job, asset.plan_job],
        resources={"desk": factory, "plan_store": PlanStore(factory)},
        executor=dg.in_process_executor,
    )


def make_thing() -> dg.JobDefinition:
    return definitions().resolve_job_def("make_thing")


def risk_thing() -> dg.JobDefinition:
    return definitions().resolve_job_def("risk_thing")


def paint_thing() -> dg.JobDefinition:
    return definitions().resolve_job_def("paint_thing")


def plan_paint_thing() -> dg.JobDefinition:
    return definitions().resolve_job_def("plan_paint_thing")


def begin(root: UPath) -> None:
    """A new world, and the desk as a process started anew would have it, with its records under `root`.

    It is the same object, since making the definitions for every test would take longer than the tests.
    """
    for read_once in ("binding", "records"):
        factory.__dict__.pop(read_once, None)
    object.__setattr__(factory, "root", root)
    WORLD.__dict__.update(World().__dict__)
