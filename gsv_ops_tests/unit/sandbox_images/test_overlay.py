"""The renderer gives the overlay that Kustomize would, or refuses; and the platform's own tree is what backups rely on."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from gsv_sandbox.overlay import OverlayError, merge, render
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.platform.spec import load

PLATFORM = Path(__file__).parents[3] / "deploy/gitops/platform"
API = "kustomize.config.k8s.io/v1beta1"
KEYS = st.sampled_from("abc")
VALUES = st.recursive(st.sampled_from([None, True, 1, "x", [1]]), lambda inner: st.dictionaries(KEYS, inner), max_leaves=4)
DOCUMENTS = st.dictionaries(KEYS, VALUES)


def write(path: Path, *documents: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(documents))


def tree(top: Path, **overlay: Any) -> Path:
    """A base with two objects, and an overlay over it with a patch of one."""
    write(top / "base/kustomization.yaml", {"apiVersion": API, "kind": "Kustomization", "resources": ["things.yaml"]})
    write(
        top / "base/things.yaml",
        {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"size": 1, "keep": [1, 2], "drop": "x"}},
        {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "b"}, "spec": {"size": 1}},
    )
    write(top / "overlay/a.yaml", {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"size": 2, "drop": None}})
    patch = {"path": "a.yaml", "target": {"kind": "Thing", "name": "a"}}
    content = {"apiVersion": API, "kind": "Kustomization", "resources": ["../base"], "patches": [patch], **overlay}
    write(top / "overlay/kustomization.yaml", content)
    return top / "overlay"


def test_a_patch_changes_its_target_and_nothing_else(tmp_path: Path) -> None:
    a, b = render(tree(tmp_path))
    assert a["spec"] == {"size": 2, "keep": [1, 2]}
    assert b["spec"] == {"size": 1}


@pytest.mark.parametrize(
    ("overlay", "why"),
    [
        ({"namePrefix": "x-"}, "namePrefix is not supported"),
        ({"patches": [{"patch": "- op: add", "target": {"kind": "Thing", "name": "a"}}]}, "a path and a target"),
        ({"patches": [{"path": "a.yaml", "target": {"kind": "Thing", "labelSelector": "x"}}]}, "expected a kind and a name"),
        ({"patches": [{"path": "a.yaml", "target": {"kind": "Thing", "name": "c"}}]}, "must fit one object; 0 are Thing/c"),
        ({"patches": [{"path": "a.yaml", "target": {"kind": "Thing", "name": "b"}}]}, "may not change kind, name or namespace"),
        ({"resources": ["../base", "../base"]}, "Thing/a is listed twice"),
        ({"resources": ["../base/things.yaml"]}, "neither a directory nor a file beside"),
        ({"resources": ["gone.yaml"]}, "does not exist"),
        ({"resources": "../base"}, "resources is a str, expected a list"),
        ({"images": [{"name": "a", "digest": "sha256:0"}]}, "an image has a name, and a newName or newTag"),
        ({"kind": "Component"}, "expected 'Kustomization'"),
    ],
)
def test_what_it_does_not_understand_is_refused(tmp_path: Path, overlay: dict[str, object], why: str) -> None:
    with pytest.raises(OverlayError, match=why):
        render(tree(tmp_path, **overlay))


def test_broken_yaml_names_the_file(tmp_path: Path) -> None:
    overlay = tree(tmp_path)
    (overlay / "a.yaml").write_text("a: [")
    with pytest.raises(OverlayError, match=r"a\.yaml is not valid YAML"):
        render(overlay)


@pytest.mark.parametrize(
    ("image", "renamed"),
    [
        ("reg:5000/psql:15", "local:16"),
        ("reg:5000/psql", "local:16"),
        ("reg:5000/psql-other:15", "reg:5000/psql-other:15"),
        ("psql:15", "psql:15"),
    ],
)
def test_an_image_is_renamed_where_a_container_runs_it_and_nowhere_else(tmp_path: Path, image: str, renamed: str) -> None:
    overlay = tree(tmp_path, images=[{"name": "reg:5000/psql", "newName": "local", "newTag": "16"}])
    pod = {"containers": [{"name": "one", "image": image}], "image": image}
    write(tmp_path / "base/things.yaml", *({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": n}, "spec": pod} for n in "ab"))
    for one in render(overlay):
        spec: Any = one["spec"]
        assert (spec["containers"][0]["image"], spec["image"]) == (renamed, image)


@given(DOCUMENTS, DOCUMENTS)
def test_a_merge_patch_says_what_is_there_afterwards(target: dict[str, object], patch: dict[str, object]) -> None:
    merged = merge(target, patch)
    assert isinstance(merged, dict)
    for key in {*target, *patch}:
        if key not in patch:
            assert merged[key] == target[key]
        elif patch[key] is None:
            assert key not in merged
        elif not isinstance(patch[key], dict):
            assert merged[key] == patch[key]
    assert merge(merged, patch) == merged


class TestPlatform:
    objects = {(str(one["kind"]), one["metadata"]["name"]): one for one in map(dict[str, Any], render(PLATFORM / "overlays/sandbox"))}
    cluster = objects["Cluster", "cmp-postgres"]["spec"]

    def test_namespaces_come_first(self) -> None:
        kinds = [kind for kind, _ in self.objects]
        assert kinds == sorted(kinds, key=lambda kind: kind != "Namespace")

    def test_every_reference_is_to_something_there(self) -> None:
        store = self.cluster["plugins"][0]["parameters"]["barmanObjectName"]
        assert ("ObjectStore", store) in self.objects
        nightly = self.objects["ScheduledBackup", "cmp-postgres-nightly"]["spec"]
        assert ("Cluster", nightly["cluster"]["name"]) in self.objects
        assert nightly["pluginConfiguration"]["name"] == self.cluster["plugins"][0]["name"]
        for one in self.objects.values():
            namespace = one["metadata"].get("namespace")
            assert namespace is None or ("Namespace", namespace) in self.objects

    def test_the_heartbeat_is_written_to_the_databases_front_door_by_a_role_that_owns_its_database_alone(self) -> None:
        database = self.objects["Database", "cmp-postgres-gsv-ops"]["spec"]
        roles = {one["name"]: one for one in self.cluster["managed"]["roles"]}
        role = roles[database["owner"]]
        assert set(role) == {"name", "comment", "ensure", "login", "connectionLimit", "passwordSecret"}
        job = self.objects["CronJob", "cmp-postgres-heartbeat"]["spec"]["jobTemplate"]["spec"]
        (container,) = job["template"]["spec"]["containers"]
        given = {one["name"]: one for one in container["env"]}
        assert container["image"] == self.cluster["imageName"]
        assert (given["PGHOST"]["value"], given["PGDATABASE"]["value"]) == ("cmp-postgres-rw", database["name"])
        assert given["PGPASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == role["passwordSecret"]["name"]
        (volume,) = job["template"]["spec"]["volumes"]
        assert [item["key"] for item in volume["secret"]["items"]] == ["ca.crt"], "the authority's key is no client's business"
        assert database["name"] == load(None).databases["cmp_postgres"].heartbeat.database

    def test_backups_run_at_night_by_six_fields_and_not_in_the_sandbox(self) -> None:
        nightly = self.objects["ScheduledBackup", "cmp-postgres-nightly"]["spec"]
        assert len(nightly["schedule"].split()) == 6
        assert nightly["suspend"] is True

    def test_the_base_backs_up_at_night(self) -> None:
        base = {str(one["kind"]): one for one in map(dict[str, Any], render(PLATFORM / "base"))}
        assert base["ScheduledBackup"]["spec"].get("suspend", False) is False

    def test_gsv_ops_may_do_what_a_proof_needs(self) -> None:
        role = {one["name"]: one for one in self.cluster["managed"]["roles"]}["gsv_ops"]
        assert (role["login"], role["replication"], role["bypassrls"]) == (True, True, True)
        assert {"pg_read_all_data", "pg_monitor"} <= set(role["inRoles"])
        assert role["passwordSecret"]["name"] == "cmp-postgres-gsv-ops"


@pytest.mark.postgres
def test_the_bootstrap_sql_lets_gsv_ops_end_a_wal_segment(postgres: dict[str, Any]) -> None:
    statements = TestPlatform.cluster["bootstrap"]["initdb"]["postInitApplicationSQL"]
    with psycopg.connect(**postgres, autocommit=True) as superuser:
        superuser.execute("create database bootstrap")
        try:
            for _ in range(2):  # also where the role is there already
                with psycopg.connect(**{**postgres, "dbname": "bootstrap"}, autocommit=True) as connection:
                    for statement in statements:
                        connection.execute(statement)
            with psycopg.connect(**{**postgres, "dbname": "bootstrap"}, autocommit=True) as connection:
                connection.execute("set role gsv_ops")
                connection.execute("select pg_logical_emit_message(true, 'x', 'y'), pg_switch_wal()")
            with psycopg.connect(**postgres, autocommit=True) as elsewhere:
                elsewhere.execute("set role gsv_ops")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    elsewhere.execute("select pg_switch_wal()")
        finally:
            superuser.execute("drop database bootstrap with (force)")
            superuser.execute("drop role if exists gsv_ops")
