"""A program beside the core's module: of its own source, with the core's libraries, and only with the source that was pinned."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from gsv_sandbox import binaries
from gsv_sandbox.binaries import build_addon
from gsv_sandbox.catalogue import METRICS_SERVER, SOURCES
from gsv_sandbox.errors import SandboxError

GO = """#!/bin/sh
case "$1 $2" in
"env GOVERSION") echo go1.26.8;;
"mod download") cat "$ANSWER";;
build*)
  echo "$PWD $*" >>"$CALLS"
  while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
  echo "$1" >"$out";;
esac
"""


def versions(go_mod: Path) -> dict[str, str]:
    found = re.findall(r"^\s*(?:require )?(\S+) (v\S+)(?: // indirect)?$", go_mod.read_text(), re.MULTILINE)
    return dict(found) | dict(re.findall(r"^replace (\S+) => \S+ (v\S+)$", go_mod.read_text(), re.MULTILINE))


def test_it_is_built_with_the_cores_versions_so_that_nothing_is_compiled_twice() -> None:
    core, ours = versions(SOURCES / "go.mod"), versions(METRICS_SERVER.sources / "go.mod")
    assert ours["k8s.io/apiserver"] == core["k8s.io/apiserver"]
    assert {name: (version, core[name]) for name, version in ours.items() if name in core and core[name] != version} == {}


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "go").write_text(GO)
    (tmp_path / "go").chmod(0o755)
    (tmp_path / "source").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("ANSWER", str(tmp_path / "answer"))
    (tmp_path / "answer").write_text(json.dumps({"Sum": METRICS_SERVER.sum, "Dir": str(tmp_path / "source")}))
    return tmp_path


def test_it_is_built_in_its_own_source_once(go: Path) -> None:
    seen: list[tuple[str, float]] = []
    directory = build_addon(METRICS_SERVER, go / "cache", lambda *told: seen.append(told))
    assert (directory / "metrics-server").read_text() == "./cmd/metrics-server\n"
    assert seen[-1] == ("metrics-server", 1.0)
    (call,) = (go / "calls").read_text().splitlines()
    assert call.startswith(f"{go / 'source'} build ")
    assert f"-modfile={METRICS_SERVER.sources / 'go.mod'}" in call
    assert build_addon(METRICS_SERVER, go / "cache", lambda *_: None) == directory
    assert len((go / "calls").read_text().splitlines()) == 1


def test_another_source_than_the_pinned_one_is_not_built(go: Path) -> None:
    (go / "answer").write_text(json.dumps({"Sum": "h1:other", "Dir": str(go / "source")}))
    with pytest.raises(SandboxError, match=r"has the sum h1:other, expected h1:nlqq"):
        build_addon(METRICS_SERVER, go / "cache", lambda *_: None)
    assert not (go / "calls").exists()


def test_another_version_is_another_directory(go: Path) -> None:
    first = build_addon(METRICS_SERVER, go / "cache", lambda *_: None)
    assert build_addon(replace(METRICS_SERVER, version="v0.9.1"), go / "cache", lambda *_: None) != first


def test_a_go_that_fails_says_so(go: Path) -> None:
    (go / "go").write_text('#!/bin/sh\n[ "$1" = env ] && echo go1.26.8 && exit 0\necho no proxy >&2; exit 1\n')
    with pytest.raises(SandboxError, match="no proxy"):
        binaries.build_addon(METRICS_SERVER, go / "cache", lambda *_: None)
