"""The command line: what it prints for a shell, and that an error is words and a code, not a traceback."""

from pathlib import Path

import pytest
from gsv_sandbox import cli
from gsv_sandbox.progress import remaining


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("GSV_KUBECONFIG", "KUBECONFIG"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "machine.json").write_text("{}")
    link = Path("/tmp") / f"gsv-{tmp_path.name[-20:]}"  # noqa: S108 - the state root has a length limit
    link.symlink_to(tmp_path / "s")
    monkeypatch.setenv("GSV_SANDBOX_STATE", str(link))
    monkeypatch.setenv("GSV_SANDBOX_CACHE", str(tmp_path / "c"))
    yield link
    link.unlink()


def test_kubeconfig_prints_a_path_and_nothing_else(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kubeconfig"]) == 0
    assert capsys.readouterr().out == f"{state}/kubeconfig/operator.yaml\n"
    assert cli.main(["kubeconfig", "admin"]) == 0
    assert capsys.readouterr().out == f"{state}/kubeconfig/admin.yaml\n"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["env"], "run `gsv-sandbox up`"),
        (["seed"], "run `gsv-sandbox up`"),
        (["writer", "start"], "run `gsv-sandbox up`"),
        (["logs", "nothing"], "there is no log of nothing"),
        (["up", "--provider", "existing"], "GSV_KUBECONFIG names no existing cluster"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(state: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    assert cli.main(argv) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_status_of_a_sandbox_that_is_down_is_not_well(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status"]) == 1
    assert "does not run" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "done"), (42, "about 42 s left"), (200, "about 3 min left")])
def test_how_long_still(seconds: float, text: str) -> None:
    assert remaining(seconds) == text


def test_a_kubeconfig_that_is_none_is_refused_without_quoting_it(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text("token-abc123")
    monkeypatch.setenv("GSV_KUBECONFIG", str(file))
    assert cli.main(["env"]) == 1
    said = capsys.readouterr()
    assert "is no kubeconfig that can be read" in said.err
    assert "abc123" not in said.err + said.out
