"""Somebody else's words without what looks like a password."""

import pytest

from gsv_ops.kube.quoted import quoted


@pytest.mark.parametrize(
    "text",
    [
        "postgres://app:hunter2@db/x is refused",
        "connection host=db password=hunter2 failed",
        "connection password='hunter2 and more' failed",
        'config {"db_password": "hunter2", "port": 1}',
        "API_KEY=hunter2",
        "Authorization: Bearer hunter2",
        "token: hunter2",
        "client-secret = hunter2",
    ],
)
def test_a_secret_is_left_out(text: str) -> None:
    assert "hunter2" not in quoted(text)
    assert "..." in quoted(text)


def test_the_rest_is_one_line_of_some_length() -> None:
    assert quoted("password authentication\n  failed for user app") == "password authentication failed for user app"
    assert quoted("x" * 500) == "x" * 397 + "..."
