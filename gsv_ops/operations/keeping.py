"""Runs whose evidence is never tidied away: what is claimed today stands on it."""

from __future__ import annotations

from gsv_ops.operations.records import Records

FOLDER = "kept"


def keep(records: Records, claim: str, run_id: str, why: str) -> None:
    """Keep the evidence of that run for as long as no other run stands for the same `claim`."""
    records.write(f"{FOLDER}/{claim}", {"run_id": run_id, "why": why})


def kept(records: Records) -> dict[str, str]:
    """Every run whose evidence is kept, and why. Raises DamagedRecord: then it is not known which."""
    bodies = [records.read(name) or {} for name in records.names(FOLDER)]
    return {str(body["run_id"]): str(body["why"]) for body in bodies if "run_id" in body}
