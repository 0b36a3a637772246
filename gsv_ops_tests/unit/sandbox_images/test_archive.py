"""A docker-archive that a runtime can trust: digests of its very layers, and never half a file under a good name."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest
from gsv_sandbox import archive
from gsv_sandbox.archive import Image, ImageError


def tree(top: Path) -> Path:
    root = top / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/name").write_text("one\n")
    (root / "etc/café").write_text("ü\n")
    (root / "link").symlink_to("etc/name")
    os.utime(root / "etc/name", (1_700_000_000, 1_700_000_000))
    return root


def test_the_configuration_names_its_layers_by_their_digests(tmp_path: Path) -> None:
    root = tree(tmp_path)
    lower = archive.layer(root, tmp_path / "lower.tar", ("etc", "etc/name"))
    upper = archive.layer(root, tmp_path / "upper.tar", ("link",))
    image = Image(("localhost/x:1", "localhost/x:1.2"), entrypoint=("/x",), command=("y",), user="26:26", environment=("A=b",))
    path = archive.write(image, (lower, upper), tmp_path / "x.tar")
    with tarfile.open(path) as made:
        manifest = json.load(made.extractfile("manifest.json"))[0]
        configuration = json.load(made.extractfile(manifest["Config"]))
        digests = [hashlib.sha256(made.extractfile(name).read()).hexdigest() for name in manifest["Layers"]]
    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{one}" for one in digests]
    assert configuration["config"] == {"Env": ["A=b"], "WorkingDir": "/", "User": "26:26", "Entrypoint": ["/x"], "Cmd": ["y"]}
    assert archive.tags(path) == ("localhost/x:1", "localhost/x:1.2")
    for number, layer in enumerate((lower, upper)):
        assert archive.extract_layer(path, number, tmp_path / f"copy{number}").read_bytes() == layer.read_bytes()


def test_a_layer_holds_just_the_members_asked_for_with_their_times(tmp_path: Path) -> None:
    root = tree(tmp_path)
    with tarfile.open(archive.layer(root, tmp_path / "some.tar", ("etc", "etc/name"))) as some:
        assert sorted(some.getnames()) == ["etc", "etc/name"]
        assert some.getmember("etc/name").mtime == 1_700_000_000
    with tarfile.open(archive.layer(root, tmp_path / "all.tar")) as everything:
        assert sorted(everything.getnames()) == [".", "./etc", "./etc/café", "./etc/name", "./link"]


def test_a_member_that_is_not_there_fails_and_leaves_no_layer(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere"):
        archive.layer(tree(tmp_path), tmp_path / "layer.tar", ("nowhere",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


def test_an_interrupted_write_leaves_the_old_file_or_none(tmp_path: Path) -> None:
    def interrupted(path: Path) -> None:
        with archive.whole(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    path = tmp_path / "x.tar"
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
