"""Run in an interpreter of its own: loads the definitions where nothing can be reached, and prints what they are as JSON.

    python -W error describe.py

Opening a connection, or reading a kubeconfig, ends it with an error.
"""

import json
import socket
import sys
import time
from typing import Any, NoReturn


def no_network(*_: object, **__: object) -> NoReturn:
    raise AssertionError("loading the definitions opened a connection")


def main() -> None:
    socket.socket.connect = no_network  # type: ignore[method-assign]
    socket.socket.connect_ex = no_network  # type: ignore[method-assign]
    socket.getaddrinfo = no_network
    begun = time.perf_counter()
    import dagster as dg

    dagster = time.perf_counter() - begun
    from gsv_ops.definitions import defs

    assert isinstance(defs, dg.Definitions)
    repository = defs.get_repository_def()
    whole = time.perf_counter() - begun
    heavy = [name for name in ("kubernetes", "boto3", "botocore", "playwright", "gsv_sandbox") if name in sys.modules]
    described = {
        "seconds": {"dagster": round(dagster, 2), "ours": round(whole - dagster, 2)},
        "heavy": heavy,
        "assets": {key.to_user_string(): asset(node) for key, node in sorted(nodes(repository).items())},
        "checks": {key: check(spec) for key, spec in sorted(checks(repository).items())},
        "jobs": {job.name: job_of(job) for job in sorted(repository.get_all_jobs(), key=lambda job: job.name) if job.name != "__ASSET_JOB"},
        "schedules": {schedule.name: schedule_of(schedule) for schedule in sorted(repository.schedule_defs, key=lambda s: s.name)},
        "sensors": {sensor.name: sensor_of(sensor) for sensor in sorted(repository.sensor_defs, key=lambda s: s.name)},
        "resources": sorted(repository.get_top_level_resources()),
    }
    print(json.dumps(described))  # noqa: T201


def nodes(repository: Any) -> dict[Any, Any]:
    return {node.key: node for node in repository.asset_graph.asset_nodes}


def asset(node: Any) -> dict[str, Any]:
    return {
        "group": node.group_name,
        "kinds": sorted(node.kinds),
        "owners": sorted(node.owners),
        "after": sorted(key.to_user_string() for key in node.parent_keys),
        "description": node.description,
        "freshness": str(node.freshness_policy) if getattr(node, "freshness_policy", None) else None,
        "automatic": node.automation_condition is not None,
        "materialised here": node.is_materializable,
    }


def checks(repository: Any) -> dict[str, Any]:
    graph = repository.asset_graph
    return {f"{key.asset_key.to_user_string()}: {key.name}": graph.get_check_spec(key) for key in graph.asset_check_keys}


def check(spec: Any) -> dict[str, Any]:
    return {"description": spec.description, "blocking": spec.blocking}


def job_of(job: Any) -> dict[str, Any]:
    return {
        "description": job.description,
        "tags": dict(sorted(job.tags.items())),
        "pools": sorted(pool for node in job.graph.iterate_op_defs() for pool in node.pools),
        "configuration": fields_of(job.run_config_schema.config_type),
    }


def fields_of(kind: Any) -> Any:
    """A configuration's fields as a launchpad shows them."""
    fields = getattr(kind, "fields", None)
    if fields is None:
        inner = getattr(kind, "inner_type", None)
        values = getattr(kind, "enum_values", None)
        if values:
            return "|".join(sorted(value.config_value for value in values))
        return f"{kind.kind.name}({fields_of(inner)})" if inner is not None else str(kind.given_name or kind.kind.name)
    return {
        name: {"type": fields_of(field.config_type), "default": field.default_value if field.default_provided else "(required)"}
        | ({"description": field.description} if field.description else {})
        for name, field in sorted(fields.items())
        if name not in ("execution", "loggers", "resources")
    }


def schedule_of(schedule: Any) -> dict[str, Any]:
    return {
        "job": schedule.job_name,
        "cron": schedule.cron_schedule,
        "zone": schedule.execution_timezone,
        "status": schedule.default_status.value,
        "description": schedule.description,
    }


def sensor_of(sensor: Any) -> dict[str, Any]:
    return {
        "jobs": sorted(target.job_name for target in sensor.targets),
        "seconds": sensor.minimum_interval_seconds,
        "status": sensor.default_status.value,
        "description": sensor.description,
    }


if __name__ == "__main__":
    main()
