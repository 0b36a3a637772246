"""Alerts as values: which fire, which have ended, and what is still to be told to whom. No clock, no network, no Dagster.

What fires now is worked out anew at every tick and compared with what was known: only what begins and what ends is news. An alert's
identity is its labels, as it is for Alertmanager, so that both agree on what is the same. What is known is one JSON text that the sensor
keeps as its cursor: it lives and dies with the runs it speaks of, and a restart tells nothing twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

Severity = Literal["critical", "warning", "none"]

LONGEST = 1000
GIVE_UP = timedelta(days=1)
"""An end that nobody could be told for so long is forgotten; Alertmanager has ended the alert by itself by then."""


@dataclass(frozen=True)
class Alert:
    """One thing that is wrong. `subject` are the labels that say what it is about; they and the name are its identity."""

    name: str
    subject: Mapping[str, str]
    severity: Severity
    summary: str
    cause: str
    to_do: str
    link: str
    starts_at: datetime

    @property
    def labels(self) -> dict[str, str]:
        return {"alertname": self.name, "severity": self.severity, "service": "gsv_ops", **self.subject}

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over the labels."""
        return hashlib.sha256(json.dumps(self.labels, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Entry:
    """An alert that is known: `ends_at` once it has ended; `told` are the receivers that know its present state."""

    alert: Alert
    ends_at: datetime | None = None
    told: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Known:
    """What was known at the end of the last tick. `since`: of what failed before, nothing is told. `up_since`: ticking without a gap.

    `spoke`: this desk was the one that tells. `shown`: what its check `somebody_is_told` said last.
    """

    since: datetime
    up_since: datetime
    ticked: datetime
    entries: Mapping[str, Entry] = field(default_factory=dict)
    spoke: bool = True
    shown: str = ""

    @property
    def firing(self) -> Mapping[str, Alert]:
        return {name: entry.alert for name, entry in self.entries.items() if entry.ends_at is None}


def begun(cursor: str | None, now: datetime, gap: timedelta) -> Known:
    """What the cursor says was known; nothing for the first tick, or for a cursor that cannot be read. A `gap` starts `up_since` anew."""
    try:
        body = json.loads(cursor or "")
        since, up_since, ticked = (datetime.fromisoformat(body[name]) for name in ("since", "up_since", "ticked"))
        entries = {name: _entry(entry) for name, entry in body["entries"].items()}
        spoke, shown = bool(body.get("spoke", True)), str(body.get("shown", ""))
    except (ValueError, KeyError, TypeError):
        return Known(now, now, now)
    return Known(since, now if now - ticked > gap else up_since, now, entries, spoke, shown)


def reconcile(known: Known, firing: Iterable[Alert], now: datetime, receivers: Sequence[str]) -> Known:
    """What is known now that exactly `firing` fire. A receiver that never heard of an alert is not told that it ended."""
    entries: dict[str, Entry] = {}
    wanted = {alert.fingerprint: alert for alert in firing}
    for name, alert in wanted.items():
        before = known.entries.get(name)
        if before is None:
            entries[name] = Entry(alert)
        elif before.ends_at is None:
            # the newest words, the first time
            entries[name] = replace(before, alert=replace(alert, starts_at=before.alert.starts_at))
        else:
            # it is back before all were told that it had ended: those who were are told anew
            entries[name] = Entry(alert, told=frozenset(receivers) - before.told)
    for name, before in known.entries.items():
        if name in wanted:
            continue
        if before.ends_at is None:
            before = Entry(before.alert, now, frozenset(receivers) - before.told)
        if not frozenset(receivers) <= before.told and before.ends_at is not None and now - before.ends_at < GIVE_UP:
            entries[name] = before
    return replace(known, entries=entries)


def news(known: Known, receiver: str) -> list[Entry]:
    """What that receiver is to be told."""
    return [entry for entry in known.entries.values() if receiver not in entry.told]


def standing(known: Known, receiver: str) -> list[Entry]:
    """What that receiver is to be told, and all that still fires: an Alertmanager forgets what is not repeated."""
    return [entry for entry in known.entries.values() if entry.ends_at is None or receiver not in entry.told]


def told(known: Known, receiver: str) -> Known:
    """What is known once that receiver was told everything."""
    entries = {name: replace(entry, told=entry.told | {receiver}) for name, entry in known.entries.items()}
    return replace(known, entries=entries)


def cursor(known: Known) -> str:
    """What is known as one line of JSON."""
    entries = {
        name: {**asdict(entry), "told": sorted(entry.told), "alert": {**asdict(entry.alert), "subject": dict(entry.alert.subject)}}
        for name, entry in known.entries.items()
    }
    return json.dumps({**asdict(replace(known, entries={})), "entries": entries}, default=datetime.isoformat, sort_keys=True)


def alertmanager_body(entries: Iterable[Entry], now: datetime, keep: timedelta) -> list[dict[str, Any]]:
    """What Alertmanager's POST /api/v2/alerts takes. What fires is given an end, so that it ends by itself when the desk falls silent."""
    return [
        {
            "labels": entry.alert.labels,
            "annotations": _annotations(entry.alert),
            "startsAt": entry.alert.starts_at.isoformat(),
            "endsAt": (entry.ends_at or now + keep).isoformat(),
            **({"generatorURL": entry.alert.link} if entry.alert.link.startswith("http") else {}),
        }
        for entry in entries
    ]


def webhook_body(entries: Sequence[Entry], environment: str) -> dict[str, Any]:
    """The shape in which Alertmanager tells its own webhook receivers; `fingerprint` tells a repetition from news."""
    return {
        "version": "4",
        "status": "firing" if any(entry.ends_at is None for entry in entries) else "resolved",
        "receiver": "gsv_ops",
        "commonLabels": {"service": "gsv_ops", "environment": environment},
        "alerts": [
            {
                "status": "firing" if entry.ends_at is None else "resolved",
                "labels": entry.alert.labels,
                "annotations": _annotations(entry.alert),
                "startsAt": entry.alert.starts_at.isoformat(),
                "endsAt": entry.ends_at.isoformat() if entry.ends_at else None,
                "generatorURL": entry.alert.link,
                "fingerprint": entry.alert.fingerprint,
            }
            for entry in entries
        ],
    }


def short(text: str) -> str:
    """The text, cut where a message would be too long."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _annotations(alert: Alert) -> dict[str, str]:
    return {"summary": alert.summary, "description": short(alert.cause), "what_to_do": alert.to_do, "link": alert.link}


def _entry(body: Mapping[str, Any]) -> Entry:
    alert = {**body["alert"], "starts_at": datetime.fromisoformat(body["alert"]["starts_at"])}
    ends_at = datetime.fromisoformat(body["ends_at"]) if body["ends_at"] else None
    return Entry(Alert(**alert), ends_at, frozenset(body["told"]))
