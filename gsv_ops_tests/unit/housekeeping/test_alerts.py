"""Which alerts begin, which end, and what each receiver still has to hear, whatever fails in between."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from gsv_ops.housekeeping import alerts
from gsv_ops.housekeeping.alerts import Alert, Known

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BOTH = ("alertmanager", "webhook")


def alert(name: str = "A", cause: str = "it broke", **subject: str) -> Alert:
    return Alert(name, {"environment": "prod", **subject}, "critical", f"{name} fires", cause, "mend it", "http://desk/runs/1", NOW)


def first() -> Known:
    return alerts.begun(None, NOW, MINUTE)


def tick(known: Known, firing: Sequence[Alert], at: datetime = NOW, deaf: Sequence[str] = ()) -> tuple[Known, dict[str, list[str]]]:
    """One tick through the cursor, as the sensor does it: what is known then, and what each receiver heard."""
    known = alerts.reconcile(alerts.begun(alerts.cursor(known), at, timedelta(hours=1)), firing, at, BOTH)
    heard = {}
    for name in BOTH:
        entries = alerts.news(known, name)
        heard[name] = [("+" if entry.ends_at is None else "-") + entry.alert.name for entry in entries]
        if name not in deaf:
            known = alerts.told(known, name)
        else:
            heard[name] = []
    return known, heard


def test_an_alert_is_news_once_and_once_when_it_is_over() -> None:
    known, heard = tick(first(), [alert()])
    assert heard["webhook"] == ["+A"]
    known, heard = tick(known, [alert()])
    assert heard["webhook"] == []
    known, heard = tick(known, [])
    assert heard["webhook"] == ["-A"]
    known, heard = tick(known, [])
    assert heard["webhook"] == []
    assert known.entries == {}


def test_alertmanager_is_repeated_what_stands_and_told_what_is_over() -> None:
    known, _ = tick(first(), [alert("A"), alert("B")])
    known = alerts.reconcile(known, [alert("A")], NOW + MINUTE, BOTH)
    assert [(e.alert.name, e.ends_at) for e in alerts.standing(known, "alertmanager")] == [("A", None), ("B", NOW + MINUTE)]


def test_who_could_not_be_told_is_told_later_and_the_other_is_not_told_again() -> None:
    known, heard = tick(first(), [alert()], deaf=["webhook"])
    assert heard == {"alertmanager": ["+A"], "webhook": []}
    known, heard = tick(known, [alert()])
    assert heard == {"alertmanager": [], "webhook": ["+A"]}
    known, heard = tick(known, [], deaf=["webhook"])
    assert heard == {"alertmanager": ["-A"], "webhook": []}
    known, heard = tick(known, [])
    assert heard == {"alertmanager": [], "webhook": ["-A"]}


def test_who_never_heard_that_it_began_is_not_told_that_it_ended() -> None:
    known, _ = tick(first(), [alert()], deaf=["webhook"])
    _, heard = tick(known, [])
    assert heard == {"alertmanager": ["-A"], "webhook": []}


@pytest.mark.parametrize("script", list(product([True, False], repeat=4)), ids=lambda s: "".join("+" if f else "-" for f in s))
def test_whatever_happens_every_receiver_hears_beginnings_and_ends_in_turn(script: Sequence[bool]) -> None:
    for deaf in product([(), ("webhook",)], repeat=4):
        known, heard = first(), list[str]()
        for number, (fires, ears) in enumerate(zip([*script, script[-1]], [*deaf, ()], strict=True)):
            known, said = tick(known, [alert()] if fires else [], NOW + number * MINUTE, ears)
            heard += said["webhook"]
        signs = [word[0] for word in heard]
        assert signs == (["+", "-"] * 9)[: len(signs)], deaf
        assert (signs[-1:] == ["+"]) == script[-1], deaf


def test_an_end_that_nobody_hears_is_forgotten_after_a_day() -> None:
    known, _ = tick(first(), [alert()])
    known, _ = tick(known, [], deaf=BOTH)
    known, _ = tick(known, [], NOW + timedelta(hours=25), deaf=BOTH)
    assert known.entries == {}


def test_the_newest_words_are_kept_and_the_first_time() -> None:
    known, _ = tick(first(), [alert(cause="one")])
    later = Alert(**{**vars(alert(cause="two")), "starts_at": NOW + MINUTE})
    known, _ = tick(known, [later], NOW + MINUTE)
    (entry,) = known.entries.values()
    assert (entry.alert.cause, entry.alert.starts_at) == ("two", NOW)


def test_identity_is_the_labels_and_nothing_else() -> None:
    assert alert(cause="x").fingerprint == alert(cause="y").fingerprint
    prints = {alert().fingerprint, alert("B").fingerprint, alert(job="x").fingerprint, alert(job="y").fingerprint}
    assert len(prints) == 4


@pytest.mark.parametrize("cursor", [None, "", "{}", "no json", '{"since": 1, "up_since": 2, "ticked": 3, "entries": {}}', "[]"])
def test_without_a_cursor_nothing_was_known_and_history_begins_now(cursor: str | None) -> None:
    assert alerts.begun(cursor, NOW, MINUTE) == Known(NOW, NOW, NOW)


def test_a_restart_tells_nothing_twice_and_a_gap_is_noticed() -> None:
    known, _ = tick(first(), [alert()])
    again = alerts.begun(alerts.cursor(known), NOW + timedelta(hours=3), timedelta(hours=1))
    assert again.entries == known.entries
    assert (again.since, again.up_since) == (NOW, NOW + timedelta(hours=3))
    soon = alerts.begun(alerts.cursor(known), NOW + MINUTE, timedelta(hours=1))
    assert soon.up_since == NOW


def test_what_alertmanager_gets_ends_by_itself() -> None:
    known, _ = tick(first(), [alert(job="backup")])
    (body,) = alerts.alertmanager_body(alerts.standing(known, "alertmanager"), NOW, timedelta(seconds=900))
    assert body["labels"] == {"alertname": "A", "severity": "critical", "service": "gsv_ops", "environment": "prod", "job": "backup"}
    assert body["annotations"] == {"summary": "A fires", "description": "it broke", "what_to_do": "mend it", "link": "http://desk/runs/1"}
    assert (body["startsAt"], body["endsAt"]) == ("2026-11-24T06:00:00+00:00", "2026-11-24T06:15:00+00:00")
    assert body["generatorURL"] == "http://desk/runs/1"


def test_what_a_webhook_gets_has_a_fingerprint() -> None:
    known, _ = tick(first(), [alert()])
    body: dict[str, Any] = alerts.webhook_body(list(known.entries.values()), "prod")
    assert body["status"] == "firing"
    assert body["alerts"][0]["fingerprint"] == alert().fingerprint
    assert body["alerts"][0]["endsAt"] is None
