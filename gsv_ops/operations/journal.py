"""What a run has made or is about to make, written down before it is made, so that nothing it leaves behind is ever unknown.

A run that is re-executed reads its journal and goes on with its own work; a run that was killed leaves one from which the next run,
or the sweeper, takes everything down. One journal belongs to one root run: re-executions share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gsv_ops.operations.plan import Target
from gsv_ops.operations.records import Records

FOLDER = "journals"

Result = Literal["done", "already", "failed", "unknown"]


@dataclass(frozen=True)
class Outcome:
    """What became of one action; the detail says why.

    `done` by this run, `already` so when it came to it, `failed` and not done, or `unknown`: asked for, and no answer came.
    """

    verb: str
    target: str
    result: Result
    detail: str = ""


@dataclass
class Journal:
    """The journal of one root run. Everything written is on disk before the call returns."""

    records: Records
    operation: str
    root_run_id: str
    entries: list[dict[str, Any]]
    outcomes: list[Outcome]
    notes: dict[str, Any]
    released: bool = False
    kept: bool = False

    @classmethod
    def open(cls, records: Records, operation: str, root_run_id: str) -> Journal:
        """The run's journal, empty if it is its first."""
        body = records.read(f"{FOLDER}/{root_run_id}-{operation}") or {}
        return cls(
            records,
            operation,
            root_run_id,
            entries=list(body.get("entries", [])),
            outcomes=[Outcome(**outcome) for outcome in body.get("outcomes", [])],
            notes=dict(body.get("notes", {})),
            released=bool(body.get("released", False)),
            kept=bool(body.get("kept", False)),
        )

    @classmethod
    def unreleased(cls, records: Records, operation: str) -> list[Journal]:
        """Every journal of the operation that still names something to take down."""
        found = []
        for name in records.names(FOLDER):
            run_id, _, of = name.removeprefix(f"{FOLDER}/").rpartition("-")
            if of == operation:
                journal = cls.open(records, operation, run_id)
                if journal.entries and not journal.released:
                    found.append(journal)
        return found

    @property
    def begun(self) -> bool:
        """Whether the run has written anything: then it adopts its own work instead of planning anew."""
        return bool(self.entries or self.notes or self.outcomes)

    def will_make(self, target: Target) -> None:
        """Write down that `target` is about to be made, and so is to be taken down: also what was made and released before."""
        known = self._entry(target) is not None
        if not known:
            self.entries.append({"target": vars(target) | {"uid": ""}, "uid": ""})
        if not known or self.released:
            self.released = False
            self._save()

    def made(self, target: Target, uid: str) -> None:
        """Write down the uid the API server gave to `target`."""
        self.will_make(target)
        entry = self._entry(target)
        assert entry is not None
        entry["uid"] = uid
        self._save()

    def uid_of(self, target: Target) -> str:
        """The uid of what this run made under that name; empty if it made none or died before it learned the uid."""
        entry = self._entry(target)
        return str(entry["uid"]) if entry else ""

    def targets(self) -> list[Target]:
        """What the run made or may have made, in order, each with the uid it learned."""
        return [Target(**{**entry["target"], "uid": entry["uid"]}) for entry in self.entries]

    def note(self, **facts: Any) -> None:
        """Write down results that a re-execution must find again (plain JSON, no secrets)."""
        self.notes.update(facts)
        self._save()

    def outcome(self, verb: str, target: Target, result: Result, detail: str = "") -> None:
        """Write down what became of one action."""
        self.outcomes_of([Outcome(verb, str(target), result, detail)])

    def outcomes_of(self, outcomes: Sequence[Outcome]) -> None:
        """Write down what became of several actions, at once."""
        self.outcomes.extend(outcomes)
        self._save()

    def release(self) -> None:
        """Write down that nothing is left to take down."""
        self.released = True
        self._save()

    def keep(self) -> None:
        """Write down that what was made stays: there is nothing to take down."""
        self.kept = True
        self.release()

    def _entry(self, target: Target) -> dict[str, Any] | None:
        key = vars(target) | {"uid": ""}
        return next((entry for entry in self.entries if entry["target"] == key), None)

    def _save(self) -> None:
        body: Mapping[str, Any] = {
            "operation": self.operation,
            "root_run_id": self.root_run_id,
            "entries": self.entries,
            "outcomes": [vars(outcome) for outcome in self.outcomes],
            "notes": self.notes,
            "released": self.released,
            "kept": self.kept,
        }
        # written at every step, of which there may be thousands
        self.records.write(f"{FOLDER}/{self.root_run_id}-{self.operation}", body, compact=True)
