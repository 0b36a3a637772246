"""The build: keyed by everything it is made from, in order, once, and clear when it fails. With a `go` of our own."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from gsv_sandbox import binaries
from gsv_sandbox.binaries import Build, cache_key
from gsv_sandbox.catalogue import SOURCES, catalogue, kubernetes_version, manifests, required_go
from gsv_sandbox.errors import SandboxError

GO_MOD = (SOURCES / "go.mod").read_text()
# Writes what it was asked to build; fails for the package named in $FAIL.
GO = """#!/bin/sh
case "$1 $2" in
"env GOVERSION") echo go1.26.8;;
"mod download") ;;
"list -m") echo "$MODULES";;
build*)
  shift; while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
  echo "$1" >>"$CALLS"
  [ "$1" = "$FAIL" ] && { echo "undefined: Thing" >&2; exit 1; }
  echo "$1" >"$out";;
esac
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bin_, modules = tmp_path / "bin", tmp_path / "modules"
    bin_.mkdir()
    (bin_ / "go").write_text(GO)
    (bin_ / "go").chmod(0o755)
    for manifest in manifests(GO_MOD):
        (modules / manifest.path).parent.mkdir(parents=True, exist_ok=True)
        (modules / manifest.path).write_text(f"of {manifest.module}")
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("MODULES", str(modules))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAIL", "")
    shutil.copytree(SOURCES, tmp_path / "go")
    return tmp_path / "go"


def calls(sources: Path) -> list[str]:
    file = sources.parent / "calls"
    return file.read_text().split() if file.exists() else []


def built(sources: Path, cache: Path) -> Build:
    build = Build(cache, lambda *_: None, sources)
    build.start()
    build.require(*(binary.name for binary in catalogue(GO_MOD)))
    return build


def test_everything_is_built_in_the_order_it_is_needed_and_never_twice(sources: Path, tmp_path: Path) -> None:
    build = built(sources, tmp_path / "cache")
    assert calls(sources) == [binary.package for binary in catalogue(GO_MOD)]
    assert build.complete
    assert build.manifest("cnpg.yaml").read_text() == "of github.com/cloudnative-pg/cloudnative-pg"
    built(sources, tmp_path / "cache")
    assert len(calls(sources)) == len(catalogue(GO_MOD))


def test_a_binary_that_is_missing_is_built_alone(sources: Path, tmp_path: Path) -> None:
    build = built(sources, tmp_path / "cache")
    (build.directory / "kubelet").unlink()
    built(sources, tmp_path / "cache")
    assert calls(sources)[len(catalogue(GO_MOD)) :] == ["k8s.io/kubernetes/cmd/kubelet"]


def test_two_builds_at_once_share_the_work(sources: Path, tmp_path: Path) -> None:
    threads = [threading.Thread(target=built, args=(sources, tmp_path / "cache")) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert sorted(calls(sources)) == sorted(binary.package for binary in catalogue(GO_MOD))


def test_a_failed_build_shows_the_compilers_words_and_leaves_no_half_binary(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "k8s.io/kubernetes/cmd/kubelet")
    build = Build(tmp_path / "cache", lambda *_: None, sources)
    build.start()
    build.require("etcd", "kube-apiserver")
    with pytest.raises(SandboxError, match="building kubelet failed") as caught:
        build.require("kubelet")
    assert "undefined: Thing" in str(caught.value)
    assert not (build.directory / "kubelet").exists()


def test_the_key_changes_with_everything_that_changes_a_binary(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {cache_key(sources, "go1.26.8"), cache_key(sources, "go1.26.9")}
    for name in ("go.sum", "s3/main.go", "coredns/main.go", "tools.go"):
        with (sources / name).open("a") as file:
            file.write("\n// changed\n")
        keys.add(cache_key(sources, "go1.26.8"))
    monkeypatch.setattr(binaries, "BUILD_FLAGS", ("-trimpath",))
    keys.add(cache_key(sources, "go1.26.8"))
    assert len(keys) == 7
    assert cache_key(sources, "go1.26.8") in keys


def test_the_versions_come_from_go_mod() -> None:
    assert kubernetes_version(GO_MOD) == "v1.36.3"
    assert required_go(GO_MOD).startswith("1.26")
    flags = {binary.name: binary.ldflags for binary in catalogue(GO_MOD)}
    assert "gitVersion=v1.36.3" in flags["kubelet"]
    assert "gitMinor=36" in flags["kube-proxy"]
    assert "buildVersion=1.30.0" in flags["cnpg-manager"]
    with pytest.raises(SandboxError, match=r"does not require k8s\.io/kubernetes"):
        kubernetes_version("module m\n")


def test_without_go_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"Go is not installed.*(?s:.)*install Go 1\.26"):
        binaries.go_version()
