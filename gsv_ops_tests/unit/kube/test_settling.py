"""An API server that was just started refuses everybody until it has read its roles: such a 403 is waited out, no other is."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
import urllib3
from urllib3.exceptions import NewConnectionError

from gsv_ops.kube import errors
from gsv_ops.kube.configuration import Endpoint
from gsv_ops.kube.resources import POD
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import SETTLING, Call, Transport

AWAY = NewConnectionError(cast(Any, None), "refused")
FORBIDDEN = SimpleNamespace(
    status=403,
    headers={},
    data=json.dumps({"kind": "Status", "reason": "Forbidden", "message": 'pods "a" is forbidden: User "gsv-ops" cannot get'}).encode(),
)
FOUND = SimpleNamespace(status=200, headers={}, data=b"{}")
CALL = Call(Request("get", POD, "cmp", "a"), "GET", "/api/v1/namespaces/cmp/pods/a", {})


class Scripted(Transport):
    """A transport that gets these answers, one after the other; time passes only while it pauses."""

    def __init__(self, *answers: Any) -> None:
        self.now, self.answers = 0.0, list(answers)
        super().__init__(Endpoint("https://api.example:6443", None), clock=lambda: self.now, sleep=self.pause)

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def _exchange(self, call: Call, seconds: float, *, stream: bool) -> urllib3.BaseHTTPResponse:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return cast(urllib3.BaseHTTPResponse, answer)


def test_the_first_403s_of_an_api_server_that_was_away_are_waited_out() -> None:
    transport = Scripted(AWAY, FORBIDDEN, FORBIDDEN, FOUND)
    assert transport.json(CALL) == {}
    assert transport.answers == []


def test_that_it_stays_so_is_told_as_what_it_may_be() -> None:
    transport = Scripted(AWAY, *[FORBIDDEN] * 9)
    with pytest.raises(errors.Unavailable, match="was away until just now, and may not have read its roles yet") as caught:
        transport.json(CALL)
    assert caught.value.status == 403
    assert 'User "gsv-ops" cannot get' in str(caught.value)


def test_a_watch_that_is_refused_then_is_opened_again_by_whoever_waits() -> None:
    transport = Scripted(AWAY, FOUND, FORBIDDEN)
    transport.json(CALL)
    with pytest.raises(errors.Unavailable):
        transport.stream(CALL, 1.0)


def test_without_an_absence_or_long_after_it_a_403_is_our_lack_of_rights() -> None:
    with pytest.raises(errors.Forbidden):
        Scripted(FORBIDDEN).json(CALL)
    transport = Scripted(AWAY, FOUND, FORBIDDEN)
    transport.json(CALL)
    transport.now += SETTLING
    with pytest.raises(errors.Forbidden):
        transport.json(CALL)
