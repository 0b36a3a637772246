"""GSV_PLATFORM_FILE: another platform.yaml in the place of the package's own."""

from pathlib import Path

import pytest

from gsv_ops.platform import environments, spec
from gsv_ops.platform.spec import InvalidSpec


def another(folder: Path, before: str, after: str) -> Path:
    text = spec.PLATFORM_FILE.read_text()
    assert before in text
    file = folder / "platform.yaml"
    file.write_text(text.replace(before, after))
    return file


def test_the_named_file_stands_in_the_packages_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = another(tmp_path, "slot_seconds: 60 ", "slot_seconds: 7 ")
    assert spec.load().databases["cmp_postgres"].fingerprint.slot_seconds == 60
    monkeypatch.setenv(spec.FILE_VARIABLE, str(file))
    assert spec.load().databases["cmp_postgres"].fingerprint.slot_seconds == 7
    assert environments.binding({"GSV_ENVIRONMENT": "dev"}).spec.databases["cmp_postgres"].fingerprint.slot_seconds == 7


def test_a_file_that_is_missing_is_refused_and_not_replaced_by_the_packages_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(spec.FILE_VARIABLE, str(tmp_path / "gone.yaml"))
    with pytest.raises(InvalidSpec, match=r"gone\.yaml cannot be read \(No such file or directory\); correct GSV_PLATFORM_FILE"):
        spec.load()


def test_a_file_without_environments_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(
        "components: []\ndatabases: {}\n"
        "desk: {plan_lifetime_seconds: 60, lease_namespace: gsv-ops, lease_seconds: 60, freeze_longest_minutes: 60, alerts: {}}\n"
    )
    monkeypatch.setenv(spec.FILE_VARIABLE, str(file))
    with pytest.raises(InvalidSpec, match="names no environment"):
        spec.load()
