"""Somebody else's words without what looks like a password, token or key; the rest stays as it was."""

import pytest

from gsv_ops.kube.quoted import quoted

SECRET = "hunter2-correct-horse"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ"


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://app:{SECRET}@db/x is refused",
        f"connection host=db password={SECRET} failed",
        f"connection password='{SECRET} and more' failed",
        f'config {{"db_password": "{SECRET}", "port": 1}}',
        f'{{"level":"error","api_key":"{SECRET}"}}',
        f"API_KEY={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"token: {SECRET}",
        f"client-secret = {SECRET}",
        f"sent header bearer {SECRET}",
        f"token {JWT} has ended",
        "using AKIAHUNTER2CORRECTHORSE",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY----- {SECRET}",
    ],
)
def test_a_secret_is_left_out(text: str) -> None:
    shown = quoted(text)
    assert "..." in shown
    for secret in (SECRET, "hunter2", JWT, "HUNTER2CORRECT"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text", ["password authentication failed for user app", "basic authentication is off", "panic: no such table agents"]
)
def test_other_words_stay(text: str) -> None:
    assert quoted(text) == text


def test_it_is_one_line_of_some_length() -> None:
    assert quoted("no such\n table   agents") == "no such table agents"
    assert quoted("x" * 500) == "x" * 397 + "..."
    assert quoted("x" * 500, 10) == "xxxxxxx..."
