"""Each database of platform.yaml has assets, checks, jobs, schedules and sensors of its own, and none can be taken for another's."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from upath import UPath

from gsv_ops.database import definitions as room
from gsv_ops.database import fingerprinting, proofs
from gsv_ops.database.names import named
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.operations import keeping
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.records import Records
from gsv_ops.operations.store import PlanStore
from gsv_ops.platform import spec
from gsv_ops.platform.spec import InvalidSpec
from gsv_ops_tests.unit.database.a_cluster import cluster

HERE = "the-cluster"


def platform(folder: Path, **more: dict[str, Any]) -> Path:
    """The package's platform.yaml with further databases, each like cmp_postgres but for what is said."""
    body = yaml.safe_load(spec.PLATFORM_FILE.read_text())
    body["databases"] |= {name: {**body["databases"]["cmp_postgres"], **change} for name, change in more.items()}
    file = folder / "platform.yaml"
    file.write_text(yaml.safe_dump(body, sort_keys=False))
    return file


class TwoClusters:
    """Both databases' clusters, in which nothing was ever backed up."""

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if resource.kind == "Namespace":
            return {"metadata": {"name": name, "uid": HERE}}
        found = cluster()
        return {**found, "metadata": {**found["metadata"], "name": name}} if resource.kind == "Cluster" else {"metadata": {"name": name}}

    def list(self, *_: object, **__: object) -> list[Object]:
        return []


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """The room with a second database `aaa`, which comes before cmp_postgres in every order."""
    times = yaml.safe_load(spec.PLATFORM_FILE.read_text())["databases"]["cmp_postgres"]["timetable"]
    file = platform(tmp_path, aaa={"cluster": "other-postgres", "timetable": {**times, "backup": "5 5 * * *"}})
    monkeypatch.setenv("GSV_PLATFORM_FILE", str(file))
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", HERE)
    kube: Any = TwoClusters()
    desk = DeskFactory(kube, UPath(tmp_path / "records"))
    resources = {"desk": desk, "plan_store": PlanStore(desk)}
    return dg.Definitions.merge(room.definitions(), dg.Definitions(resources=resources, executor=dg.in_process_executor))


def test_each_has_its_own_and_the_plain_names_stay_the_guides(two: dg.Definitions) -> None:
    repository = two.get_repository_def()
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    parts = ("backup", "proof", "replication", "connections", "connection_info")
    assert keys == {f"database/{name}/{what}" for name in ("aaa", "cmp_postgres") for what in parts}
    for what in ("backup_database", "plan_backup_database", "prove_backup", "plan_prove_backup", "check_database", "connection_info"):
        assert repository.has_job(what)
        assert repository.has_job(f"{what}_aaa")
    for job, asset in (("backup_database", "cmp_postgres"), ("backup_database_aaa", "aaa")):
        made = repository.get_job(job).asset_layer.executable_asset_keys
        assert [key.to_user_string() for key in made] == [f"database/{asset}/backup"]
    crons = {schedule.name: (schedule.job_name, schedule.cron_schedule) for schedule in repository.schedule_defs}
    assert crons["backup_database_nightly_aaa"] == ("backup_database_aaa", "5 5 * * *")
    assert crons["backup_database_nightly"] == ("backup_database", "30 2 * * *")
    assert {sensor.name for sensor in repository.sensor_defs} == {
        f"{sensor}{of}" for sensor in ("observe_backups_of_others", "prove_unproven_backup", "watch_database") for of in ("", "_aaa")
    }
    for name in ("aaa", "cmp_postgres"):
        job = repository.get_job(named("check_database", name))
        judged = {key.asset_key.path[1] for key in job.asset_layer.asset_graph.asset_check_keys}
        assert judged == {name}


def test_the_database_can_nowhere_be_chosen(two: dg.Definitions) -> None:
    job = two.resolve_job_def("plan_backup_database_aaa")
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(dg.DagsterInvalidConfigError, match='unexpected config entry "database"'):
            job.execute_in_process(run_config={"database": "cmp_postgres"}, instance=instance)
        assert instance.get_runs_count() == 0


def test_one_databases_plan_is_never_applied_to_another(two: dg.Definitions) -> None:
    """Its own plan names it and links to its own job; given to the other's job nothing is done."""
    with dg.DagsterInstance.ephemeral() as instance:
        planned = two.resolve_job_def("plan_backup_database_aaa").execute_in_process(instance=instance)
        run = instance.get_run_by_id(planned.run_id)
        [output] = [e.event_specific_data for e in planned.all_events if e.event_type_value == "STEP_OUTPUT"]
        shown = output.metadata  # type: ignore[union-attr]
        plan = str(shown["plan"].value)
        assert run is not None
        assert run.tags["gsv/database"] == "aaa"
        assert "other-postgres" in str(shown["what would be done"].value)
        link = str(shown["apply this plan"].value)
        assert "/jobs/backup_database_aaa/playground" in link
        assert "database__aaa__backup" in link
        assert "database%3A" not in link
        config = {"ops": {"database__cmp_postgres__backup": {"config": {"plan_id": plan}}}}
        applied = two.resolve_job_def("backup_database").execute_in_process(instance=instance, run_config=config, raise_on_error=False)
        assert not applied.success
        told = [e.step_failure_data.user_failure_data for e in applied.all_events if e.event_type_value == "STEP_FAILURE"]
        assert "parameter database: aaa -> cmp_postgres" in str(told[0] and told[0].description)


class CancelledLooking(TwoClusters):
    """The clusters, at the look at which the run is cancelled."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if resource.kind == "Cluster":
            [run] = self.instance.get_runs()
            self.instance.report_run_canceling(run)
            raise dg.DagsterExecutionInterruptedError
        return super().get(resource, name, namespace)


@pytest.mark.parametrize("job", ["backup_database", "prove_backup"])
def test_a_run_cancelled_in_its_plan_ends_so_with_the_four_lines(two: dg.Definitions, job: str, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        kube: Any = CancelledLooking(instance)
        desk = DeskFactory(kube, UPath(tmp_path / "records"))
        resources = {"desk": desk, "plan_store": PlanStore(desk)}
        here = dg.Definitions.merge(room.definitions(), dg.Definitions(resources=resources, executor=dg.in_process_executor))
        here.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
        [run] = instance.get_runs()
        log = "\n".join(entry.user_message for entry in instance.all_logs(run.run_id))
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert "cancelled\nChanged: nothing.\nNot changed: everything.\nRun it again: " in log


def test_two_databases_in_one_cluster_share_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSV_PLATFORM_FILE", str(platform(tmp_path, other={"database": "other/../x"})))
    main, other = (spec.load().databases[name] for name in ("cmp_postgres", "other"))
    backup = {"metadata": {"name": "b", "uid": "u-b"}}
    assert fingerprinting.record_name(main, backup) != fingerprinting.record_name(other, backup)
    records = Records(UPath(tmp_path / "records"))
    proof = proofs.Proof("b", "u-b", "1", datetime(2026, 11, 24, tzinfo=UTC), 3, 1, "r")
    proofs.write(records, main, HERE, proof)
    assert proofs.newest(records, main, HERE) == proof
    assert keeping.kept(records) == {"r": "it is the newest proof of cmp-postgres: Backup b"}, "its evidence is never tidied away"
    assert proofs.newest(records, other, HERE) is None
    assert proofs.of(records, other, "u-b") is None


def test_a_database_has_a_name_that_jobs_can_carry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSV_PLATFORM_FILE", str(platform(tmp_path, **{"cmp-postgres": {}})))
    with pytest.raises(InvalidSpec, match=r"databases\.cmp-postgres.*should match pattern"):
        spec.load()
