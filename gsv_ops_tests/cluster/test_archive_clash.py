"""A cluster that was made anew over an archive that is not empty: the operator calls it healthy, and no backup of it could be restored."""

import shutil
from collections.abc import Iterator
from contextlib import suppress

import pytest
from kubernetes.client.exceptions import ApiException

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.fault_table import backups, proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.fixtures import CLASH
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import CLUSTER, CNPG, NAMESPACE, Outside, until

pytestmark = pytest.mark.cluster

COPIED = ("imageName", "bootstrap", "managed", "postgresql", "resources", "storage", "smartShutdownTimeout")


@pytest.fixture(scope="module")
def clash(outside: Outside) -> Iterator[str]:
    """The cluster, running, with an archive that somebody else's WAL is in; its name."""
    archive = outside.store / CLASH
    segment = min(outside.wal_files().values())
    folder = archive / "wals" / segment.parent.name
    folder.mkdir(parents=True)
    shutil.copy2(segment, folder)  # with its xattrs: the store keeps what it knows of an object there
    source = outside.get("clusters", CLUSTER)["spec"]
    spec = {key: source[key] for key in COPIED if key in source}
    spec |= {"instances": 1, "plugins": [{**plugin, "enabled": True} for plugin in source["plugins"]]}
    body = {"apiVersion": "/".join(CNPG), "kind": "Cluster", "metadata": {"name": CLASH, "namespace": NAMESPACE}, "spec": spec}
    try:
        outside.custom.create_namespaced_custom_object(*CNPG, NAMESPACE, "clusters", body)
        until(lambda: condition(outside, "ContinuousArchiving") == "False", 150, "its WAL archiving to be seen to fail")
        until(lambda: condition(outside, "Ready") == "True", 60, "it to be ready all the same")
        yield CLASH
    finally:
        with suppress(ApiException):
            outside.custom.delete_namespaced_custom_object(*CNPG, NAMESPACE, "clusters", CLASH)
        until(lambda: not outside.everything_named(CLASH), 60, f"{CLASH} to be gone")
        shutil.rmtree(archive)


def condition(outside: Outside, kind: str) -> str:
    """The status of one of its conditions."""
    found = outside.get("clusters", CLASH).get("status", {}).get("conditions", [])
    return next((each["status"] for each in found if each["type"] == kind), "")


@expects(backups.CLASH_SEEN)
def test_it_is_refused_in_the_plan_while_the_operator_says_that_archiving_fails(
    row: Row, a_desk: ADesk, outside: Outside, clash: str
) -> None:
    """The cluster is in its healthy state all the while."""
    assert outside.get("clusters", clash)["status"]["phase"] == "Cluster in healthy state"
    with row.timed():
        run = a_desk.backup(database="archive_clash")
    row.judge(run, left_of(outside, run))


@expects(proofs.CLASH_COMPLETED)
def test_a_backup_of_it_that_the_operator_completed_is_not_proven(row: Row, a_desk: ADesk, outside: Outside, clash: str) -> None:
    """One that somebody made by hand."""
    name = f"{clash}-by-hand"
    spec = {"cluster": {"name": clash}, "method": "plugin", "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"}}
    body = {"apiVersion": "/".join(CNPG), "kind": "Backup", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
    outside.custom.create_namespaced_custom_object(*CNPG, NAMESPACE, "backups", body)
    try:
        until(lambda: outside.get("backups", name).get("status", {}).get("phase") == "completed", 90, "the operator to say completed")
        with row.timed():
            run = a_desk.follow(a_desk.proof(database="archive_clash", backup=name, fingerprint_now=True))
        row.judge(run, left_of(outside, run))
    finally:
        outside.custom.delete_namespaced_custom_object(*CNPG, NAMESPACE, "backups", name)
