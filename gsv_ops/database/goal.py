"""Where a restore is to end: the end of the WAL, a time, a position, a transaction, a named point, or what a proof compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from gsv_ops.database.lsn import format_lsn

Kind = Literal["end_of_wal", "time", "lsn", "transaction", "restore_point", "proof"]


@dataclass(frozen=True)
class Goal:
    """Where a restore is to end. `timeline` 0: the newest in the archive; `backup_id` empty: chosen.

    A proof's goal has its position, timeline and base backup.
    """

    kind: Kind
    time: datetime | None = None
    lsn: int = 0
    timeline: int = 0
    transaction: int = 0
    restore_point: str = ""
    backup_id: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "end_of_wal":
                return "the end of the archived WAL"
            case "time":
                assert self.time is not None
                return f"{shown(self.time)} (the last commit until then)"
            case "lsn":
                return f"position {format_lsn(self.lsn)}, and what ends there"
            case "proof":
                return f"just before position {format_lsn(self.lsn)}, as the proof compared it"
            case "transaction":
                return f"transaction {self.transaction}, with it"
            case "restore_point":
                return f"the restore point {self.restore_point!r}"

    def recovery_target(self, backup_id: str, timeline: int) -> dict[str, Any]:
        """As the Cluster's manifest says it."""
        target: dict[str, Any] = {"backupID": backup_id, "targetTLI": str(timeline)}
        match self.kind:
            case "time":
                assert self.time is not None
                target["targetTime"] = self.time.astimezone(UTC).isoformat()
            case "lsn":
                target["targetLSN"] = format_lsn(self.lsn)
            case "proof":
                target |= {"targetLSN": format_lsn(self.lsn), "exclusive": True}
            case "transaction":
                target["targetXID"] = str(self.transaction)
            case "restore_point":
                target["targetName"] = self.restore_point
        return target


def shown(moment: datetime) -> str:
    """A time as messages say it."""
    return moment.astimezone(UTC).isoformat(sep=" ", timespec="microseconds" if moment.microsecond else "seconds")
