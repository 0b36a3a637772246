"""What an operator may choose of a restore, and the goal that it comes to."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from gsv_ops.database.backup.plan import known_database
from gsv_ops.database.goal import Goal
from gsv_ops.database.lsn import parse_lsn
from gsv_ops.kube.objects import parse_time
from gsv_ops.kube.quantity import bytes_of
from gsv_ops.operations.operation import Params

GOALS = ("time", "lsn", "transaction", "restore_point", "proof")
LONGEST_POINT = 63
"""Bytes of a restore point's name: PostgreSQL's MAXFNAMELEN."""

MOST_INSTANCES = 9
LAST_TRANSACTION = 2**32 - 1


class RestoreDatabase(Params):
    """Where to, and into what. With no goal named, everything that is archived is restored."""

    database: str = Field(default="cmp_postgres", description="Which database of platform.yaml to restore.")
    time: str = Field(
        default="",
        description="Goal: the state at this time, RFC 3339 with Z or +hh:mm. At most one goal; none: the end of the archived WAL.",
    )
    lsn: str = Field(default="", description="Goal: this WAL position, such as 0/402E3D0.")
    transaction: int = Field(default=0, ge=0, le=LAST_TRANSACTION, description="Goal: this transaction id, with it.")
    restore_point: str = Field(default="", max_length=LONGEST_POINT, description="Goal: the point that pg_create_restore_point named.")
    proof: str = Field(
        default="",
        description="Goal: exactly what a proof compared: its Backup's name, the id of that Backup's newest proving run, or `newest`.",
    )
    timeline: int = Field(default=0, ge=0, description="The timeline to follow, for an lsn of one that was left. 0: the newest archived.")
    backup: str = Field(default="", description="The base backup to begin from: a Backup's name or its id. Empty: chosen.")
    name: str = Field(default="", description="The new Cluster's name. Empty: the source's, with -restored.")
    instances: int = Field(default=2, ge=1, le=MOST_INSTANCES, description="Its instances.")
    storage: str = Field(default="", description="The size of its data volumes, such as 20Gi. Empty: the source's.")
    keep_failed: bool = Field(default=False, description="A restore whose recovery failed is left to be looked at, not taken down.")

    @field_validator("database")
    @classmethod
    def _known(cls, value: str) -> str:
        return known_database(value)

    @field_validator("time")
    @classmethod
    def _zoned(cls, value: str) -> str:
        if value:
            parse_time(value)
        return value

    @field_validator("lsn")
    @classmethod
    def _position(cls, value: str) -> str:
        if value:
            parse_lsn(value)
        return value

    @field_validator("restore_point")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable() or len(value.encode()) > LONGEST_POINT:
            raise ValueError(f"not a restore point's name: expected at most {LONGEST_POINT} bytes of printable characters")
        return value

    @field_validator("storage")
    @classmethod
    def _size(cls, value: str) -> str:
        if value and bytes_of(value) == 0:
            raise ValueError("a volume of no bytes holds nothing: expected a size such as 20Gi")
        return value

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        named = [goal for goal in GOALS if getattr(self, goal)]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} are set: a restore has one goal; leave the others empty")
        if self.proof and (self.timeline or self.backup):
            raise ValueError("a proof has its timeline and its base backup: leave timeline and backup empty")
        return self

    def cluster_name(self, source: str) -> str:
        """The new Cluster's name."""
        return self.name or f"{source}-restored"

    def goal(self, backup_id: str) -> Goal:
        """The goal, but for a proof's; `backup_id` is the named base backup's id."""
        if self.time:
            return Goal("time", time=parse_time(self.time), timeline=self.timeline, backup_id=backup_id)
        if self.lsn:
            return Goal("lsn", lsn=parse_lsn(self.lsn), timeline=self.timeline, backup_id=backup_id)
        if self.transaction:
            return Goal("transaction", transaction=self.transaction, timeline=self.timeline, backup_id=backup_id)
        if self.restore_point:
            return Goal("restore_point", restore_point=self.restore_point, timeline=self.timeline, backup_id=backup_id)
        return Goal("end_of_wal", timeline=self.timeline, backup_id=backup_id)
