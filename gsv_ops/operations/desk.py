"""Makes the Desk of one run: which environment, which cluster, where records lie. Nothing is opened before a run asks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from upath import UPath

from gsv_ops.kube import resources
from gsv_ops.kube.protocol import Kube
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.records import EVIDENCE_VARIABLE, LOCAL, Records
from gsv_ops.operations.undo import UNDO_VARIABLE, Bundles
from gsv_ops.platform import environments
from gsv_ops.platform.environments import Binding

UNBOUND = "none"
"""The environment's name in a plan made where GSV_ENVIRONMENT is not set: such a plan can be read and never applied."""


@dataclass(frozen=True)
class DeskFactory:
    """Gives every run its Desk. `root` overrides where records lie."""

    kube: Kube
    root: UPath | None = None

    @cached_property
    def binding(self) -> Binding:
        """The environment this process serves. Raises InvalidSpec for one platform.yaml does not name."""
        return environments.binding()

    @cached_property
    def records(self) -> Records:
        """GSV_EVIDENCE_ROOT, else `evidence` under DAGSTER_HOME, else under the user's data folder."""
        return Records(self.root or evidence_root())

    @property
    def bundles(self) -> Bundles:
        """Undo bundles: GSV_UNDO_ROOT, else `undo` beside the evidence where that is a folder."""
        return Bundles(undo_root(self.records.root), timedelta(days=self.binding.spec.desk.undo_days))

    def identity(self) -> str:
        """The UID of the live cluster's kube-system namespace."""
        uid: str = self.kube.get(resources.NAMESPACE, "kube-system")["metadata"]["uid"]
        return uid

    def check(self) -> None:
        """Raise WrongCluster unless the live cluster is the one this environment is bound to."""
        self.binding.check(self.identity())

    def desk(self, run_id: str, log: Callable[[str], None], is_over: Callable[[str], bool]) -> Desk:
        """The Desk of the run with that root run id."""
        return Desk(
            kube=self.kube,
            spec=self.binding.spec,
            environment=self.binding.environment or UNBOUND,
            cluster_identity=self.identity(),
            records=self.records,
            run_id=run_id,
            log=log,
            is_over=is_over,
            bundles=self.bundles,
        )


def undo_root(evidence: UPath) -> Path | None:
    """Where undo bundles lie. None: nowhere, since the evidence is in no folder and the process's environment variables name none."""
    if chosen := os.environ.get(UNDO_VARIABLE):
        return Path(chosen)
    return Path(str(evidence)).parent / "undo" if evidence.protocol in LOCAL else None


def evidence_root() -> UPath:
    """Where records lie, from the process's environment variables."""
    if chosen := os.environ.get(EVIDENCE_VARIABLE):
        return UPath(chosen)
    if home := os.environ.get("DAGSTER_HOME"):
        return UPath(home) / "evidence"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return UPath(data) / "gsv_ops" / "evidence"
