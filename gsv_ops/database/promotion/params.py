"""What an operator may choose of a promotion."""

from __future__ import annotations

from pydantic import Field, field_validator

from gsv_ops.database.backup.plan import known_database
from gsv_ops.operations.operation import Params


class PromoteReplica(Params):
    """Which database, and which of its replicas."""

    database: str = Field(default="cmp_postgres", description="Which database of platform.yaml.")
    instance: str = Field(
        default="",
        description="The replica to promote, such as cmp-postgres-2. Empty: the one that is furthest of those that are well.",
    )

    @field_validator("database")
    @classmethod
    def _known(cls, value: str) -> str:
        return known_database(value)
