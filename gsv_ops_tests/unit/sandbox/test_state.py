"""The state root: where it may be, and that what is written there is whole and private."""

from pathlib import Path

import pytest
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.state import only_one, paths_from, read_json, write_private


def test_the_defaults_and_the_overrides() -> None:
    assert paths_from({"HOME": "/home/a"}).root == Path("/var/lib/gsv-sandbox")
    assert paths_from({"HOME": "/home/a"}).cache == Path("/home/a/.cache/gsv-sandbox")
    assert paths_from({"HOME": "/home/a", "XDG_CACHE_HOME": "/c"}).cache == Path("/c/gsv-sandbox")
    both = paths_from({"GSV_SANDBOX_STATE": "/srv/box", "GSV_SANDBOX_CACHE": "/big/cache"})
    assert (both.root, both.cache) == (Path("/srv/box"), Path("/big/cache"))


@pytest.mark.parametrize("root", ["/", "/var", "relative/path", "/srv/" + "x" * 60])
def test_a_root_that_down_must_not_remove_or_a_socket_not_hold_is_refused(root: str) -> None:
    with pytest.raises(SandboxError, match="GSV_SANDBOX_STATE"):
        paths_from({"GSV_SANDBOX_STATE": root})


def test_a_file_is_private_and_written_again_only_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    assert write_private(file, "one")
    first = file.stat().st_ino
    assert not write_private(file, "one")
    assert file.stat().st_ino == first
    assert write_private(file, "two")
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", '{"pid": 1', "[1]"])
def test_a_record_cut_short_by_a_crash_is_no_record(tmp_path: Path, text: str) -> None:
    file = tmp_path / "record.json"
    file.write_text(text)
    assert read_json(file) == {}
    assert read_json(tmp_path / "absent") == {}


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        only_one(tmp_path / "lock", "`up`"),
        pytest.raises(SandboxError, match="another `up` is under way"),
        only_one(tmp_path / "lock", "`up`"),
    ):
        pytest.fail("the second one got in")
    with only_one(tmp_path / "lock", "`up`"):
        pass
