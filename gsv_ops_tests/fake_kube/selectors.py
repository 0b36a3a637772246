"""Which objects a list's selectors choose."""

from __future__ import annotations

import re
from collections.abc import Callable

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops_tests.fake_kube import kinds
from gsv_ops_tests.fake_kube.refusals import bad_request

Chosen = Callable[[Object], bool]

BETWEEN = re.compile(r",(?![^()]*\))")
EQUALITY = re.compile(r"(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s,()=!]*)")
MEMBERSHIP = re.compile(r"(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
PRESENCE = re.compile(r"(?P<not>!\s*)?(?P<key>[^\s!=,()]+)")


def by_labels(text: str) -> Chosen:
    """`a=b`, `a!=b`, `a in (b, c)`, `a notin (b)`, `a`, `!a`, all of them to hold. Raises Refusal for what is none of these."""
    terms = [_label_term(term.strip()) for term in BETWEEN.split(text)] if text.strip() else []
    return lambda body: all(term(objects.labels(body)) for term in terms)


def by_fields(resource: Resource, text: str) -> Chosen:
    """`metadata.name=a,type!=b`. Raises Refusal for a field that the kind cannot be selected by."""
    terms: list[tuple[list[str], bool, str]] = []
    for term in filter(None, text.split(",")):
        found = EQUALITY.fullmatch(term.strip())
        if found is None:
            raise bad_request(f'invalid selector: "{term}"; can\'t understand it')
        if found["key"] not in kinds.fields(resource):
            raise bad_request(f'"{found["key"]}" is not a known field selector')
        terms.append((found["key"].split("."), found["op"] != "!=", found["value"]))
    return lambda body: all((str(objects.at(body, *path, default="")) == value) is wanted for path, wanted, value in terms)


def _label_term(term: str) -> Callable[[dict[str, str]], bool]:
    if found := EQUALITY.fullmatch(term):
        key, value, wanted = found["key"], found["value"], found["op"] != "!="
        return lambda labels: (labels.get(key) == value) is wanted
    if found := MEMBERSHIP.fullmatch(term):
        key, values, inside = found["key"], {v.strip() for v in found["values"].split(",")}, found["op"] == "in"
        return lambda labels: (labels.get(key) in values) is inside
    if found := PRESENCE.fullmatch(term):
        key, present = found["key"], found["not"] is None
        return lambda labels: (key in labels) is present
    raise bad_request(f'unable to parse requirement: found "{term}"')
