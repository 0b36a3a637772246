"""docs/guide.md maps every command, table row and snippet of the operator guide, and names only what the desk really has."""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "operator-guide.md").read_text()
MAP = (DOCS / "guide.md").read_text()
HEADER = ["§", "Operator guide", "Here", "Remark"]

Names = Mapping[str, set[str]]

NAMES_PROGRAM = """
import json
from gsv_ops.definitions import defs
repository, graph = defs.get_repository_def(), defs.resolve_asset_graph()
print(json.dumps({
    "job": [job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")],
    "asset": [key.to_user_string() for key in graph.get_all_asset_keys()],
    "check": [key.name for key in graph.asset_check_keys],
    "schedule": [schedule.name for schedule in repository.schedule_defs],
    "sensor": [sensor.name for sensor in repository.sensor_defs],
}))
"""


@dataclass(frozen=True)
class Item:
    """One command, table row (its first cell) or snippet of the guide, on one line."""

    section: str
    text: str


@dataclass(frozen=True)
class Row:
    """One row of guide.md: what it maps (`…` stands for what is left out), to what."""

    section: str
    items: tuple[str, ...]
    here: str


def guide_items(text: str) -> list[Item]:
    """Everything of the guide that must be mapped, in its order."""
    items: list[Item] = []
    section, fence, block, after_rule = "", "", list[str](), False
    for line in text.splitlines():
        if fence:
            if line.strip() == "```":
                found = commands(block) if fence == "```bash" else [" ".join(" ".join(block).split())]
                items += [Item(section, command) for command in found]
                fence = ""
            else:
                block.append(line)
        elif line.startswith("```"):
            fence, block = line.strip(), []
        elif match := re.match(r"#+ (\d+(?:\.\d+)?|Appendix)\b", line):
            section = match[1]
        elif not line.startswith("|"):
            after_rule = False
        elif re.fullmatch(r"[|\s:-]+", line):
            after_rule = True
        elif after_rule:
            items.append(Item(section, cells(line)[0].strip("*`")))
    assert not fence, "the operator guide ends inside a fence"
    return items


def commands(lines: list[str]) -> list[str]:
    """The commands of a shell snippet, each on one line: continuations, quotes, heredocs and loops joined, comments left out."""
    found: list[str] = []
    pending = ""
    for line in lines:
        if not pending and (not line.strip() or line.lstrip().startswith("#")):
            continue
        pending += "\n" + (line if unfinished(pending) else re.sub(r"\s# .*$", "", line))
        if not unfinished(pending):
            found.append(" ".join(pending.replace("\\\n", " ").split()))
            pending = ""
    assert not pending, f"the command never ends: {pending}"
    return found


def unfinished(command: str) -> bool:
    """Whether the shell would still wait for more of it."""
    heredoc = re.search(r"<<(\w+)", command)
    return bool(
        command.endswith("\\")
        or command.count("'") % 2
        or (heredoc and not command.endswith(f"\n{heredoc[1]}"))
        or (re.search(r"^\s*for ", command) and not command.endswith("\ndone"))
    )


def map_rows(text: str) -> list[Row]:
    """The rows of guide.md's tables. Every table that begins with the column § is one."""
    rows: list[Row] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif cells(line)[0] == HEADER[0]:
            assert cells(line) == HEADER, f"expected the columns {HEADER}: {line}"
            inside = True
        elif inside and not re.fullmatch(r"[|\s:-]+", line):
            assert len(cells(line)) == len(HEADER), f"expected {len(HEADER)} columns: {line}"
            section, items, here, _ = cells(line)
            rows.append(Row(section, tuple(re.findall(r"`([^`]+)`", items)), here))
    return rows


def cells(line: str) -> list[str]:
    """The cells of a table's row; `\\|` is a bar inside of one."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def problems(guide: str, mapping: str, names: Names) -> list[str]:
    """Everything that is wrong with the mapping, a line each."""
    items, rows = guide_items(guide), map_rows(mapping)
    found: list[str] = []
    mapped: dict[Item, int] = defaultdict(int)
    for row in rows:
        if not row.items:
            found.append(f"§{row.section}: a row names nothing of the guide: {row.here}")
        for reference in row.items:
            pattern = ".*".join(re.escape(part.strip()) for part in reference.split("…"))
            matches = [item for item in items if item.section == row.section and re.fullmatch(pattern, item.text)]
            if len(matches) != 1:
                found.append(f"§{row.section}: `{reference}` stands for {len(matches)} items of the guide, expected 1")
            for item in matches:
                mapped[item] += 1
        if not re.fullmatch(r"not yet|not done, because \S.{10,}|(jobs?|assets?|checks?|schedules?|sensors?) `.+", row.here):
            found.append(f"§{row.section}: {row.here!r} is none of: not yet; not done, because ...; a job, asset, check, schedule, sensor")
    for item in items:
        if mapped[item] != 1:
            found.append(f"§{item.section}: mapped {mapped[item]} times, expected once: {item.text}")
    return found + unknown_names(mapping, rows, names)


def unknown_names(mapping: str, rows: list[Row], names: Names) -> list[str]:
    """What guide.md calls a job, asset, check, schedule or sensor and is none; in the column Here, every name."""
    said: list[tuple[str, str]] = []
    for row in rows:
        kind = ""
        for word, name in re.findall(r"\b(job|asset|check|schedule|sensor)s?\b|`([^`]+)`", row.here):
            kind = word or kind
            if name and not row.here.startswith("not "):
                said.append((kind, name))
    in_prose = re.findall(r"\b(job|asset|check|schedule|sensor)s?\s+`([^`]+)`", mapping, re.IGNORECASE)
    said += [(kind.lower(), name) for kind, name in in_prose]
    return [f"there is no {kind} `{name}`" for kind, name in dict.fromkeys(said) if name not in names[kind]]


@pytest.fixture(scope="module")
def names() -> Names:
    """The names of everything that is loaded where no environment is chosen, from a fresh interpreter."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GSV_")}
    loaded = subprocess.run([sys.executable, "-c", NAMES_PROGRAM], env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert loaded.returncode == 0, loaded.stderr
    return {kind: set(found) for kind, found in json.loads(loaded.stdout.splitlines()[-1]).items()}


def test_the_whole_guide_is_mapped_and_every_name_exists(names: Names) -> None:
    assert problems(GUIDE, MAP, names) == []


def test_the_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", MAP)
    assert links
    assert [link for link in links if "://" in link or not (DOCS / link).exists()] == []


def test_every_fence_and_table_of_the_guide_is_read() -> None:
    items = guide_items(GUIDE)
    assert {item.section.split(".")[0] for item in items} == {*map(str, range(1, 11)), "Appendix"}
    texts = [item.text for item in items]
    assert "helm upgrade agent-registry ./charts/agent-registry -n cmp -f values-dev.yaml --set image.tag=v1.5.0" in texts
    assert "argocd app rollback agent-registry 2" in texts
    assert "MetalLB" in texts
    assert "Degraded" in texts
    assert sum(text.startswith("for pod in ") and text.endswith(" done") for text in texts) == 1
    assert sum(text.startswith("kubectl apply -f - <<EOF") and text.endswith(" EOF") for text in texts) == 2
    assert sum(text.startswith("kubectl patch deployment") and text.endswith("} }'") for text in texts) == 1
    assert sum("apiVersion: networking.k8s.io/v1" in text for text in texts) == 1
    assert len(items) == 124


def _without(text: str, part: str) -> str:
    lines = [line for line in text.splitlines() if part in line]
    assert len(lines) == 1, f"{len(lines)} lines have {part!r}"
    return text.replace(lines[0] + "\n", "")


@pytest.mark.parametrize(
    ("guide", "mapping", "told"),
    [
        (GUIDE, _without(MAP, "`crictl rmi --prune`"), "§10.5: mapped 0 times, expected once: crictl rmi --prune"),
        (GUIDE, MAP.replace("`crictl rmi --prune`", "`crictl rmi --all`"), "§10.5: `crictl rmi --all` stands for 0 items of the guide"),
        (_without(GUIDE, "crictl rmi --prune"), MAP, "§10.5: `crictl rmi --prune` stands for 0 items of the guide"),
        (GUIDE.replace("make smoke", "make smoke\nmake more"), MAP, "§3.1: mapped 0 times, expected once: make more"),
        (GUIDE.replace("| `Missing` |", "| `Lost` |"), MAP, "§5.2: mapped 0 times, expected once: Lost"),
        (GUIDE, MAP.replace("`make smoke`", "`make …`"), "§3.1: `make …` stands for 3 items of the guide, expected 1"),
        (GUIDE, MAP.replace("job `backup_database`", "job `backup_databases`"), "there is no job `backup_databases`"),
        (GUIDE, MAP.replace("job `backup_database`", "schedule `backup_database`"), "there is no schedule `backup_database`"),
        (GUIDE, MAP.replace("Check `newest_proof_is_recent`", "Check `newest_proof_is_old`"), "there is no check `newest_proof_is_old`"),
        (GUIDE, MAP.replace("`database/cmp_postgres/proof`", "`database/proof`"), "there is no asset `database/proof`"),
        (GUIDE, MAP.replace("| not yet |", "| soon |", 1), "'soon' is none of: not yet;"),
        (GUIDE, MAP.replace("| not yet |", "| not done, because |", 1), "'not done, because' is none of: not yet;"),
    ],
)
def test_a_gap_or_a_wrong_name_is_told(guide: str, mapping: str, told: str, names: Names) -> None:
    assert any(told in problem for problem in problems(guide, mapping, names)), told
