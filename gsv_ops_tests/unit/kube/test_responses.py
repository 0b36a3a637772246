"""What each answer of the API server becomes, and what never gets out of it."""

import json
import re
from typing import Any

import pytest

from gsv_ops.kube import errors
from gsv_ops.kube.resources import CONFIG_MAP, POD, SECRET
from gsv_ops.kube.responses import Request, error_of

ABOUT = Request("patch", CONFIG_MAP, "cmp", "a", "10.0.0.1:6443")
OF_A_SECRET = Request("patch", SECRET, "cmp", "a", "10.0.0.1:6443")
VALUE = "hunter2"


def status(reason: str | None, message: str = "", **details: Any) -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": message, "details": details}).encode()


@pytest.mark.parametrize(
    ("code", "body", "kind", "text"),
    [
        (401, status("Unauthorized"), errors.Unauthorized, "does not accept our credentials"),
        (403, status("Forbidden", "exceeded quota: pods"), errors.Forbidden, "is refused: exceeded quota: pods"),
        (404, status("NotFound", name="a", kind="configmaps"), errors.NotFound, "it does not exist"),
        (404, b"404 page not found\n", errors.NotServed, "does not serve v1 configmaps"),
        (404, status("NotFound", name="cmp", kind="namespaces"), errors.NamespaceNotFound, 'namespace "cmp" does not exist'),
        (409, status("AlreadyExists"), errors.AlreadyExists, "an object of that name exists"),
        (409, status("Conflict", "it was modified"), errors.Conflict, r"\(it was modified\)\. Read it again and plan anew"),
        (410, status("Expired"), errors.UnexpectedResponse, "list again"),
        (422, status("Invalid", causes=[{"field": "data", "message": "too long"}]), errors.Invalid, "data: too long"),
        (422, status("Invalid", causes=[{"field": "metadata.uid", "message": "immutable"}]), errors.Conflict, "its uid is another"),
        (429, status("TooManyRequests"), errors.TooManyRequests, "asks to slow down"),
        (500, status("InternalError", "etcd: leader changed"), errors.Unavailable, "answered 500: etcd: leader changed"),
        (503, b"<html>busy</html>", errors.Unavailable, "answered 503: no reason given"),
        (302, b"", errors.UnexpectedResponse, "answered 302"),
        (418, status("Teapot", "short and stout"), errors.UnexpectedResponse, "answered 418: short and stout"),
    ],
)
def test_an_answer_becomes_the_error_of_its_meaning(code: int, body: bytes, kind: type[errors.KubeError], text: str) -> None:
    error = error_of(ABOUT, code, body)

    assert type(error) is kind
    assert error.status == (409 if kind is errors.Conflict else code)
    assert (error.verb, error.resource, error.namespace, error.name) == ("patch", CONFIG_MAP, "cmp", "a")
    assert re.search(text, str(error)), str(error)


def test_a_conflict_of_fields_names_every_manager_once() -> None:
    causes = [
        {"field": ".data.x", "message": 'conflict with "kubectl" using v1'},
        {"field": ".data.y", "message": 'conflict with "kubectl" using v1'},
        {"field": ".data.z", "message": 'conflict with "argocd-controller"'},
    ]

    error = error_of(ABOUT, 409, status("Conflict", causes=causes))

    assert isinstance(error, errors.Conflict)
    assert error.managers == ("kubectl", "argocd-controller")
    assert "kubectl, argocd-controller manages .data.x, .data.y, .data.z" in str(error)


@pytest.mark.parametrize("code", [400, 405, 413, 415, 418, 422, 500, 503])
@pytest.mark.parametrize("reason", [None, "Invalid", "BadRequest", "InternalError", "ServiceUnavailable"])
def test_what_a_server_says_of_a_secrets_body_is_not_repeated(code: int, reason: str | None) -> None:
    causes = [{"field": "data", "reason": "FieldValueInvalid", "message": f'Invalid value: "{VALUE}"'}]
    for body in (status(reason, f"bad: {VALUE}"), status(reason, f"bad: {VALUE}", causes=causes)):
        error = error_of(OF_A_SECRET, code, body)

        assert VALUE not in str(error) + repr(vars(error))


def test_a_long_message_is_cut() -> None:
    assert len(str(error_of(ABOUT, 500, status("InternalError", "x" * 100_000)))) < 3_000


def test_a_stream_that_is_refused_is_no_refused_body() -> None:
    error = error_of(Request("logs", POD, "cmp", "web-0"), 400, status("BadRequest", "container is waiting to start"))

    assert type(error) is errors.StreamFailed
    assert str(error) == 'logs pods "web-0" in namespace "cmp": container is waiting to start'
