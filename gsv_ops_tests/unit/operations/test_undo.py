"""Undo bundles are read back as they were written, by every YAML reader, and go when their time is over."""

import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gsv_ops.kube.protocol import Object
from gsv_ops.operations import manifests, undo
from gsv_ops.operations.undo import Bundles, NoBundle
from gsv_ops_tests.unit.operations.conftest import NOW

RUN = "4f0c1a2b-3d4e-4f5a-8b6c-7d8e9f0a1b2c"
DAYS = timedelta(days=30)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


def body(**data: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n", "uid": "u-1"}, "data": data}


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    return Bundles(tmp_path / "undo", DAYS)


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_a_manifest_is_read_back_as_it_was_written(data: dict[str, Any]) -> None:
    text = manifests.dump(data)
    assert manifests.load(text) == data
    assert yaml.safe_load(text) == data, "the pure reader reads something else"
    assert undo.BETWEEN not in f"\n{text}", "a value looks like the end of a document"


@pytest.mark.parametrize(
    "word",
    ["1e3", "12345e7", "0o17", "0x1F", "1_000", "yes", "No", "ON", "y", "N", "null", "True", "~", "2026-11-24", ".inf", "", "- a", "#"],
)
def test_what_another_reader_takes_for_no_string_is_quoted(word: str) -> None:
    assert manifests.dump({"value": word}) == f'value: "{word}"\n'


def test_what_the_api_server_gives_is_left_out_and_the_rest_stays() -> None:
    given_by_server = {
        "uid": "u",
        "resourceVersion": "7",
        "creationTimestamp": "x",
        "managedFields": [],
        "generation": 3,
        "selfLink": "/x",
        "deletionTimestamp": "x",
        "ownerReferences": [{"uid": "o"}],
        "finalizers": ["foregroundDeletion", "mine/too"],
    }
    stored = {**body(x="1"), "status": {"phase": "x"}, "metadata": {"name": "a", "annotations": {"k": "v"}, **given_by_server}}
    bare, said = manifests.bare(stored)
    assert bare == {**body(x="1"), "metadata": {"name": "a", "annotations": {"k": "v"}, "finalizers": ["mine/too"]}}
    assert said == []
    assert "uid" in stored["metadata"], "the object itself was changed"


def test_a_job_with_a_selector_of_its_own_keeps_it() -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "labels": {"controller-uid": "u", "app": "j"}},
        "spec": {"manualSelector": True, "selector": {"matchLabels": {"app": "j"}}, "template": {"metadata": {"labels": {"app": "j"}}}},
    }
    bare, said = manifests.bare(job)
    assert bare["spec"] == {**job["spec"], "suspend": True}  # type: ignore[dict-item]
    assert "It comes back suspended" in said[0]


def test_a_bundle_holds_what_was_and_whose_beside_what_is_replayed(bundles: Bundles) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d-1", "controller": True}
    owned = body(x="1")
    owned["metadata"]["ownerReferences"] = [owner]
    path = bundles.write(RUN, "tidy", [owned, body(x="a\n---\nb")], NOW)
    read = undo.read(path)
    assert [(kept.body["data"], kept.uid, kept.owners) for kept in read.objects] == [
        ({"x": "1"}, "u-1", (owner,)),
        ({"x": "a\n---\nb"}, "u-1", ()),
    ]
    replayed = [document for document in yaml.safe_load_all(path.read_text()) if document]
    assert ["ownerReferences" in document["metadata"] for document in replayed] == [False, False]


def test_a_digest_cannot_be_guessed_at_by_the_value(bundles: Bundles) -> None:
    paths = [bundles.write(RUN, "tidy", [body(x="secret")], NOW) for _ in range(2)]
    first, second = (path.read_text().replace(path.name, "the bundle") for path in paths)
    assert first != second, "whoever knows the rest could try values"


def test_a_run_that_goes_on_writes_its_next_bundle(bundles: Bundles) -> None:
    names = [bundles.write(RUN, "tidy", [body()], NOW).name for _ in range(2)]
    assert names == [f"{RUN}-0001.yaml", f"{RUN}-0002.yaml"]
    assert [path.name for path in bundles.of(RUN[:8])] == names
    assert bundles.runs() == [RUN]


def test_a_bundle_is_for_its_owner_whatever_the_umask(bundles: Bundles) -> None:
    before = os.umask(0)
    try:
        path = bundles.write(RUN, "tidy", [body()], NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_only_what_is_past_its_time_goes(bundles: Bundles) -> None:
    old, young = (bundles.write(RUN, "tidy", [body()], NOW) for _ in range(2))
    half = old.with_name(".half.partial")
    half.write_text("")
    foreign = old.with_name("notes.txt")
    foreign.write_text("")
    for path, days in ((old, 31), (young, 29), (half, 2), (foreign, 99)):
        at = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
    assert bundles.sweep(NOW) == [half, old]
    assert sorted(path.name for path in young.parent.iterdir()) == sorted([young.name, foreign.name])


@pytest.mark.parametrize("text", ["", "no bundle\n---\nat all", "x\n---\n# gsv-ops: {}\nkind: x", "x\n---\n# gsv-ops: {\n"])
def test_what_is_no_bundle_is_refused_without_quoting_it(bundles: Bundles, text: str) -> None:
    path = bundles.write(RUN, "tidy", [body()], NOW)
    path.write_text(text)
    with pytest.raises(NoBundle, match="cannot be read") as problem:
        undo.read(path)
    assert problem.value.__cause__ is None


def test_evidence_in_an_object_store_has_no_folder_for_bundles() -> None:
    with pytest.raises(NoBundle, match="Set GSV_UNDO_ROOT"):
        Bundles(None, DAYS).write(RUN, "tidy", [body()], NOW)


def test_a_disk_that_is_full_leaves_no_half(bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoBundle, match="No space left on device"):
        bundles.write(RUN, "tidy", [body()], NOW)
    assert bundles.root is not None
    assert list(bundles.root.iterdir()) == []


def test_the_side_of_an_object_is_one_line_of_json(bundles: Bundles) -> None:
    lines = bundles.write(RUN, "tidy", [body()], NOW).read_text().splitlines()
    (side,) = [line for line in lines if line.startswith(undo.MARK)]
    assert json.loads(side.removeprefix(undo.MARK)) == {"uid": "u-1", "owners": []}
