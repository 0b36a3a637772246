"""Receivers on loopback: what is sent, what is tried again, and that nothing secret is ever said."""

import base64
import time
from typing import Any, NoReturn

import pytest

from gsv_ops.housekeeping import notify
from gsv_ops.housekeeping.notify import NotTold, Receiver
from gsv_ops.kube.errors import Forbidden
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.kube.resources import SECRET
from gsv_ops.platform import spec
from gsv_ops.platform.spec import AlertSettings
from gsv_ops_tests.unit.housekeeping.listening import listening

TOKEN = "t0ken-of-the-webhook"


class OneSecret:
    """A cluster that has one Secret, or refuses to show it."""

    def __init__(self, data: dict[str, str] | None) -> None:
        self.data = data

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        assert (resource, name, namespace) == (SECRET, "hook", "ops")
        if self.data is None:
            raise Forbidden('secrets "hook" in namespace "ops": may not get')
        return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in self.data.items()}}

    def __getattr__(self, verb: str) -> NoReturn:
        raise AssertionError(f"{verb} was used")


def settings(**changes: Any) -> AlertSettings:
    return spec.load().desk.alerts.model_copy(update={"post_seconds": 1, **changes})


def receiver(url: str, token: str = "") -> Receiver:
    return Receiver("webhook", "hook.example", 0.3, url, token)


def test_it_is_posted_as_json_with_the_token() -> None:
    with listening() as there:
        receiver(there.url, TOKEN).post({"alerts": []})
        assert there.bodies == [{"alerts": []}]
        assert there.headers[0]["Authorization"] == f"Bearer {TOKEN}"
        assert there.headers[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("answers", "sent", "said"),
    [
        ([503], 2, None),
        ([429], 2, None),
        ([503, 500], 2, "webhook at hook.example: it answered 500"),
        ([400], 1, "webhook at hook.example: it answered 400"),
        ([401], 1, "webhook at hook.example: it answered 401"),
        ([302, 302], 2, "webhook at hook.example: it answered 302"),
    ],
)
def test_what_may_pass_is_tried_once_more_and_what_is_refused_is_not(answers: list[int], sent: int, said: str | None) -> None:
    with listening() as there:
        there.answers = list(answers)
        if said is None:
            receiver(there.url).post([])
        else:
            with pytest.raises(NotTold) as problem:
                receiver(there.url, TOKEN).post([])
            assert str(problem.value) == said
        assert len(there.bodies) == sent


def test_a_receiver_that_never_answers_costs_two_attempts_and_no_more() -> None:
    with listening() as there:
        there.hold = 5
        begun = time.monotonic()
        with pytest.raises(NotTold, match="no answer"):
            receiver(there.url).post([])
        assert time.monotonic() - begun < 2


def test_neither_the_path_nor_the_token_is_ever_said() -> None:
    dead = Receiver("webhook", "127.0.0.1:9", 0.3, "http://127.0.0.1:9/services/T000/secret-path", TOKEN)
    with pytest.raises(NotTold) as problem:
        dead.post([])
    said = f"{problem.value!r} {problem.value.__cause__} {problem.value.__context__} {dead}"
    assert "secret-path" not in said
    assert TOKEN not in said


def test_addresses_come_from_the_environment_by_name() -> None:
    environ = {"GSV_ALERTMANAGER_URL": "http://am.example:9093/", "GSV_WEBHOOK_URL": "https://hook.example/x", "GSV_WEBHOOK_TOKEN": TOKEN}
    nothing: Any = OneSecret({})
    there = notify.alertmanager(settings(), environ)
    hook = notify.webhook(settings(), nothing, environ)
    assert there is not None
    assert hook is not None
    assert (there.url, there.host, there.token) == ("http://am.example:9093/api/v2/alerts", "am.example:9093", "")
    assert (hook.url, hook.host, hook.token) == ("https://hook.example/x", "hook.example", TOKEN)
    assert notify.alertmanager(settings(), {}) is None
    assert notify.webhook(settings(), nothing, {}) is None


def test_a_token_that_cannot_be_sent_is_not_quoted() -> None:
    """A line break in a header's value is refused by the client library, in words that hold the value."""
    with listening() as there:
        for token in (f"{TOKEN}\nmore", "t\u00f6ken\u2026"):
            with pytest.raises(NotTold, match="no answer") as problem:
                receiver(there.url, token).post([])
            assert token not in f"{problem.value!r} {problem.value.__cause__}"
        assert there.bodies == []


def test_the_line_break_at_the_end_of_a_token_is_no_part_of_it() -> None:
    nothing: Any = OneSecret({})
    hook = notify.webhook(settings(), nothing, {"GSV_WEBHOOK_URL": "https://hook.example/x", "GSV_WEBHOOK_TOKEN": f"{TOKEN}\n"})
    assert hook is not None
    assert hook.token == TOKEN


@pytest.mark.parametrize("url", ["http://hook.example:secret", "http://[secret", "http://hook.example:99999/secret"])
def test_an_address_that_cannot_be_taken_apart_is_refused_without_being_quoted(url: str) -> None:
    for chosen, environ in ((settings(), {"GSV_ALERTMANAGER_URL": url}), (settings(alertmanager_url=url), {})):
        with pytest.raises(NotTold, match=r"is no address; expected http\(s\)://host$"):
            notify.alertmanager(chosen, environ)


@pytest.mark.parametrize("url", ["hook.example/secret", "ftp://hook.example/secret", "http:///secret"])
def test_what_is_no_address_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(NotTold, match=r"^GSV_ALERTMANAGER_URL is no address; expected http\(s\)://host$"):
        notify.alertmanager(settings(), {"GSV_ALERTMANAGER_URL": url})
    raw = spec.read()
    raw["desk"]["alerts"]["webhook_url"] = url
    with pytest.raises(spec.InvalidSpec, match=r"desk\.alerts\.webhook_url: .*expected http") as problem:
        spec.spec_for(raw, None)
    assert "secret" not in str(problem.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [({"token": f"{TOKEN}\n"}, None), ({"other": "x"}, "is not there: expected key 'token' of Secret ops/hook"), (None, "may not get")],
)
def test_a_token_is_read_from_its_secret_when_it_is_sent(data: dict[str, str] | None, said: str | None) -> None:
    kube: Any = OneSecret(data)
    chosen = settings(webhook_token=spec.SecretKey(namespace="ops", secret="hook", key="token"))
    environ = {"GSV_WEBHOOK_URL": "https://hook.example/x"}
    if said is None:
        hook = notify.webhook(chosen, kube, environ)
        assert hook is not None
        assert hook.token == TOKEN
    else:
        with pytest.raises(NotTold, match=said):
            notify.webhook(chosen, kube, environ)
