"""platform.yaml: what it says is read as it stands, and what it cannot mean is refused with the path of the value."""

import copy
from pathlib import Path
from typing import Any

import pytest

from gsv_ops.platform import spec
from gsv_ops.platform.spec import InvalidSpec


def written(folder: Path, text: str) -> Path:
    file = folder / "platform.yaml"
    file.write_text(text)
    return file


def with_value(path: str, value: object) -> dict[str, Any]:
    """The package's own platform with another value at the path."""
    raw = copy.deepcopy(spec.read())
    place = raw
    *steps, last = path.split(".")
    for step in steps:
        place = place[step]
    place[last] = value
    return raw


def test_every_environment_of_the_package_can_be_used() -> None:
    for name in spec.environments(spec.read()):
        assert spec.load(name).databases["cmp_postgres"].cluster == "cmp-postgres"


def test_chapter_two_is_there_once_each() -> None:
    components = spec.load().components
    assert len({component.name for component in components}) == len(components) == 17


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "key 'a' stands twice"),
        ("a:\n  b: 1\n  b: 1\n", "key 'b' stands twice"),
        ("a: [{b: 1, b: 2}]\n", "key 'b' stands twice"),
        ("? [1, 2]\n: 3\n", "not valid YAML"),
        ("a: [1\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("- a\n", "holds list, expected a mapping"),
        ("", "holds NoneType, expected a mapping"),
    ],
)
def test_a_file_that_says_something_twice_or_nothing_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        spec.read(written(tmp_path, text))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("databases.cmp_postgres.backup.floor_byte", 1, r"databases\.cmp_postgres\.backup\.floor_byte: Extra inputs"),
        ("databases.cmp_postgres.backup.floor_bytes", "20MB", r"backup\.floor_bytes: .*'20MB' is no size; expected whole bytes, or"),
        ("databases.cmp_postgres.backup.floor_bytes", "1.5Gi", "'1.5Gi' is no size"),
        ("databases.cmp_postgres.backup.floor_bytes", -1, "greater than or equal to 0"),
        ("databases.cmp_postgres.backup.run_seconds", 0, "greater than or equal to 1"),
        ("databases.cmp_postgres.backup.shrink_percent", 101, "less than or equal to 100"),
        ("databases.cmp_postgres.fingerprint.connections", 17, "less than or equal to 16"),
        ("databases.cmp_postgres.proof", {}, r"proof\.recovery_seconds: Field required"),
        ("components", [{"name": "x", "layer": "cellar", "namespace": "x", "purpose": "x"}], r"components\.0\.layer: Input should be"),
        ("desk", None, r"platform\.yaml: desk"),
        ("extra", 1, r"platform\.yaml: extra: Extra inputs"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_with_its_path(path: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        spec.spec_for(with_value(path, value), None)


@pytest.mark.parametrize(
    ("size", "expected"), [(7, 7), ("7", 7), ("20MiB", 20 * 2**20), ("20Mi", 20 * 2**20), ("50GiB", 50 * 2**30), ("1Ti", 2**40)]
)
def test_sizes(size: object, expected: int) -> None:
    raw = with_value("databases.cmp_postgres.backup.floor_bytes", size)
    assert spec.spec_for(raw, None).databases["cmp_postgres"].backup.floor_bytes == expected


def test_overrides_are_laid_over_and_nothing_else_moves() -> None:
    base, sandbox = spec.load(None), spec.load("sandbox")
    was, now = base.databases["cmp_postgres"], sandbox.databases["cmp_postgres"]
    assert (was.backup.floor_bytes, now.backup.floor_bytes) == (20 * 2**20, 2**20)
    assert (was.proof.storage_margin_percent, now.proof.storage_margin_percent) == (20, 10)
    assert (was.servers.slot_error_bytes, now.servers.slot_error_bytes) == (6 * 2**30, 3 * 2**29)
    laid_back = now.model_copy(
        update={
            "backup": now.backup.model_copy(update={"floor_bytes": 20 * 2**20}),
            "proof": now.proof.model_copy(update={"storage_margin_percent": 20}),
            "servers": was.servers,
        }
    )
    assert laid_back == was
    assert sandbox.components == base.components
    assert spec.load("dev") == base


def test_an_override_is_held_to_the_same_rules() -> None:
    raw = with_value("environments.dev.overrides", {"databases": {"cmp_postgres": {"proof": {"failed_attempts": 0}}}})
    with pytest.raises(InvalidSpec, match=r"databases\.cmp_postgres\.proof\.failed_attempts: .*greater than or equal to 1"):
        spec.spec_for(raw, spec.environments(raw)["dev"])


def test_an_environment_is_held_to_its_fields() -> None:
    with pytest.raises(InvalidSpec, match=r"environments\.dev: automatic: Extra inputs"):
        spec.environments(with_value("environments.dev", {"cluster_identity": None, "automatic": True}))
    with pytest.raises(InvalidSpec, match=r"environments\.dev: cluster_identity: Field required"):
        spec.environments(with_value("environments.dev", {"automation": True}))


def test_an_unknown_environment_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidSpec, match=r"environment 'stage' is not in platform\.yaml; it names dev, prod, qa, sandbox"):
        spec.load("stage")


def test_the_platform_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        spec.load().databases["cmp_postgres"].namespace = "other"
