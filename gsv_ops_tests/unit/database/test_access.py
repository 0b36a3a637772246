"""The way to a cluster's primary: a login from its Secret, the cluster's own CA, and no secret on the way."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import access
from gsv_ops.database.session import LoginRefused, Unreachable
from gsv_ops.kube import errors
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.protocol import Address, Kube, Object, Resource
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec

CANARY = "canary-7f3a-password"


def secret(**data: str) -> Object:
    return {"data": {key.replace("__", "."): b64encode(value.encode()).decode() for key, value in data.items()}}


class Cmp:
    """A Kube with Secrets and one port."""

    def __init__(self, **secrets: Object) -> None:
        self.secrets = {name.replace("_", "-"): body for name, body in secrets.items()}
        self.open = 0

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if (resource.kind, namespace) != ("Secret", "cmp") or name not in self.secrets:
            raise NotFound(f"{resource.qualified} {name} not found")
        return self.secrets[name]

    @contextmanager
    def open_port(self, namespace: str, pod: str, port: int) -> Iterator[Address]:
        assert (namespace, pod, port) == ("cmp", "cmp-postgres-1", 5432)
        self.open += 1
        try:
            yield Address("127.0.0.1", 40000)
        finally:
            self.open -= 1


LOGIN = secret(username="gsv_ops", password=CANARY)
CA = secret(ca__crt="-----BEGIN CERTIFICATE-----")


def endpoint(kube: Cmp) -> Any:
    return access.endpoint(cast(Kube, kube), "cmp", "cmp-postgres-1", "agent_registry", "login", "the-ca")


def test_the_server_is_checked_against_the_clusters_own_ca_as_long_as_the_port_is_open() -> None:
    kube = Cmp(login=LOGIN, the_ca=CA)
    with endpoint(kube) as found:
        assert (found.host, found.port, found.database, found.user, found.password) == (
            "127.0.0.1",
            40000,
            "agent_registry",
            "gsv_ops",
            CANARY,
        )
        assert found.sslmode == "verify-ca"
        certificate = cast(Path, found.sslrootcert)
        assert certificate.read_text() == "-----BEGIN CERTIFICATE-----"
        assert CANARY not in repr(found) + str(found)
        assert [path.name for path in certificate.parent.iterdir()] == ["ca.crt"], "only what is public lies in a file"
        assert kube.open == 1
    assert kube.open == 0
    assert not certificate.parent.exists()


def test_the_way_is_closed_when_something_fails_on_it() -> None:
    kube = Cmp(login=LOGIN, the_ca=CA)
    with pytest.raises(ZeroDivisionError), endpoint(kube) as found:
        raise ZeroDivisionError
    assert kube.open == 0
    assert not found.sslrootcert.exists()


@pytest.mark.parametrize(
    ("login", "authority", "message"),
    [
        (secret(username="gsv_ops"), CA, "Secret cmp/login lacks password; expected a kubernetes.io/basic-auth Secret"),
        (secret(username="gsv_ops", password=""), CA, "Secret cmp/login lacks password"),
        ({}, CA, "Secret cmp/login lacks username and password"),
        ({"data": None}, CA, "Secret cmp/login lacks username and password"),
        (LOGIN, {}, "Secret cmp/the-ca has no ca.crt, so the server's identity could not be checked"),
        (LOGIN, secret(tls__crt="x"), "Secret cmp/the-ca has no ca.crt"),
    ],
)
def test_without_a_login_or_an_authority_nothing_is_opened(login: Object, authority: Object, message: str) -> None:
    kube = Cmp(login=login, the_ca=authority)
    with pytest.raises(OperationFailed) as caught, endpoint(kube):
        pytest.fail("it was opened")
    assert str(caught.value).startswith(message)
    assert CANARY not in str(caught.value)


def test_a_databases_error_becomes_a_failure_that_says_during_what() -> None:
    with (
        pytest.raises(OperationFailed, match="asking the primary: not permitted to log in") as caught,
        access.failures_of("asking the primary"),
    ):
        raise LoginRefused("not permitted to log in")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def tried(tmp_path: Path, *problems: Exception) -> tuple[Any, list[float]]:
    """What the work gave or raised at last, and the pauses."""
    left, pauses = list(problems), list[float]()
    desk = Desk(cast(Kube, None), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "run", lambda _: None, sleep=pauses.append)

    def work() -> str:
        if left:
            with access.failures_of("asking the primary"):
                raise left.pop(0)
        return "rows"

    try:
        return access.again(desk, "reading", work), pauses
    except (OperationFailed, errors.KubeError) as problem:
        return problem, pauses


@pytest.mark.parametrize(
    "problem",
    [Unreachable("server closed the connection"), errors.Unavailable("no answer"), errors.StreamFailed("broke"), access.WayBroke("moving")],
)
def test_what_broke_off_is_begun_anew_and_not_for_ever(tmp_path: Path, problem: Exception) -> None:
    assert tried(tmp_path, problem, problem) == ("rows", [5.0, 5.0])
    last, pauses = tried(tmp_path, *[problem] * 9)
    assert isinstance(last, access.BROKE)
    assert pauses == [5.0] * (access.MOST_TRIES - 1)


@pytest.mark.parametrize("problem", [LoginRefused("wrong password"), OperationFailed("no key"), errors.Forbidden("may not")])
def test_what_would_fail_again_is_not_tried_again(tmp_path: Path, problem: Exception) -> None:
    last, pauses = tried(tmp_path, problem, problem)
    assert not isinstance(last, access.BROKE)
    assert pauses == []
