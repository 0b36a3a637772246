"""A standby's lag is the time it takes to have applied what the primary had written, and never what merely looks like it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gsv_ops.database.replication import Replay, replay
from gsv_ops.database.session import Connection, QueryFailed


class Standby:
    """A session to a standby that gives these rows, one after the other, and the clock that its waits move on."""

    def __init__(self, *rows: tuple[bool, str, float | None] | None) -> None:
        self.rows, self.at = list(rows), 0.0

    def execute(self, *_: Any) -> Standby:
        return self

    def fetchone(self) -> Any:
        return self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    def asked(self, most: float) -> Replay:
        return replay(cast(Connection, self), 16, most, lambda: self.at, self.sleep)


@pytest.mark.parametrize(
    ("rows", "seconds", "at_least", "paused"),
    [
        # a commit was applied long ago since nobody writes: that is no lag
        ([(True, "not paused", 3600.0)], 0.0, False, False),
        ([(False, "not paused", 0.2), (False, "not paused", 0.3), (True, "not paused", 0.0)], 0.2, False, False),
        ([(False, "not paused", 90.0)], 90.0, True, False),
        ([(False, "not paused", None)], 5.0, True, False),
        ([(False, "paused", 0.5)], 0.5, True, True),
        ([(False, "pause requested", 0.5)], 0.5, True, True),
        ([(True, "paused", 0.5)], 0.0, False, True),
    ],
)
def test_the_lag_is_measured(rows: list[Any], seconds: float, at_least: bool, paused: bool) -> None:
    found = Standby(*rows).asked(5.0)
    assert found.seconds == pytest.approx(seconds, abs=0.11)
    assert (found.at_least, found.paused) == (at_least, paused)


def test_a_server_that_is_no_standby_has_no_lag() -> None:
    with pytest.raises(QueryFailed, match="is a primary and not a standby"):
        Standby(None).asked(5.0)
