"""What a health rule says of an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"]


@dataclass(frozen=True)
class Health:
    """How an object is, and why in words that an operator can act on."""

    status: Status
    reason: str

    @property
    def healthy(self) -> bool:
        return self.status == "Healthy"
