"""Addresses: one form for policy, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.doors.xmpp.addresses import MAX_JID_BYTES, read_domain, read_subscriber
from clearinghouse.errors import MalformedRequest
from clearinghouse.grid.topics import Subscriber

NORMAL = [
    ("analyst@csirt.example", "analyst@csirt.example", "analyst@csirt.example", "csirt.example"),
    ("Analyst@CSIRT.Example", "analyst@csirt.example", "analyst@csirt.example", "csirt.example"),
    ("analyst@csirt.example/Desk 1", "analyst@csirt.example", "analyst@csirt.example/Desk 1", "csirt.example"),
    ("analyst@csirt.example/a@b/c", "analyst@csirt.example", "analyst@csirt.example/a@b/c", "csirt.example"),
    ("csirt.example", "csirt.example", "csirt.example", "csirt.example"),
    ("csirt.example/agent", "csirt.example", "csirt.example/agent", "csirt.example"),
    ("müller@csirt.example", "müller@csirt.example", "müller@csirt.example", "csirt.example"),
    ("a@münchen.example", "a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
    ("a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
    ("a@xn--strae-oqa.example", "a@xn--strae-oqa.example", "a@xn--strae-oqa.example", "xn--strae-oqa.example"),
    ("a,b@csirt.example", "a,b@csirt.example", "a,b@csirt.example", "csirt.example"),
]

REFUSED = {
    "empty": "",
    "no localpart": "@csirt.example",
    "no domain": "a@",
    "no resource": "a@csirt.example/",
    "two at signs": "a@b@csirt.example",
    "space": "a b@csirt.example",
    "control character": "a\x00@csirt.example",
    "line end": "a@csirt.example\n",
    "right-to-left override": "a\u202eb@csirt.example",
    "sharp s, which nodeprep makes ss": "straße@csirt.example",
    "final sigma, which nodeprep folds": "ς@csirt.example",
    "full-width letter": "\uff41@csirt.example",
    "ligature": "ﬁ@csirt.example",
    "zero-width joiner": "a\u200db@csirt.example",
    "domain that IDNA 2003 turns into another": "a@straße.example",
    "full-width letter in the domain": "a@csir\uff54.example",
    "ideograph that only newer Unicode maps": "a@\ufa6b.example",
    "localpart that only newer Unicode maps": "\ufa6b@csirt.example",
    "ideographic full stop": "a@csirt。example",
    "trailing dot": "a@csirt.example.",
    "empty label": "a@csirt..example",
    "leading hyphen": "a@-csirt.example",
    "underscore": "a@csirt_1.example",
    "comma in the domain": "a@csirt,example",
    "port": "a@csirt.example:5222",
    "IPv4 address": "a@192.0.2.1",
    "IPv6 address": "a@[2001:db8::1]",
    "resource that is mapped": "a@csirt.example/\uff24\uff25\uff33\uff2b",
    "label of 64": f"a@{'x' * 64}.example",
    "domain of 254": f"a@{'x.' * 126}xx",
    "localpart of 1024": f"{'x' * 1024}@csirt.example",
    "longer than any": f"a@csirt.example/{'x' * MAX_JID_BYTES}",
}


@pytest.mark.parametrize("written, bare, full, domain", NORMAL, ids=[written for written, *_ in NORMAL])
def test_normal_form(written: str, bare: str, full: str, domain: str) -> None:
    assert read_subscriber(written) == Subscriber(written, bare, full, domain)


@pytest.mark.parametrize("written", REFUSED.values(), ids=REFUSED.keys())
def test_no_normal_form(written: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_subscriber(written)
    assert refused.value.message.isprintable()


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Z", "C")), max_size=40))
def test_any_text_has_a_normal_form_or_is_refused(text: str) -> None:
    try:
        read = read_subscriber(text)
    except MalformedRequest:
        return
    assert read.full.startswith(read.bare)
    assert read.bare.endswith(read.domain)
    assert read.domain.isascii()
    again = read_subscriber(read.full)
    assert (again.bare, again.full, again.domain) == (read.bare, read.full, read.domain)


@given(st.from_regex(r"[a-zß-ÿ0-9-]{1,20}(\.[a-zß-ÿ0-9-]{1,20}){0,3}", fullmatch=True))
def test_two_domains_are_one_only_when_their_case_differs(written: str) -> None:
    try:
        name = read_domain(written)
    except MalformedRequest:
        return
    assert written in (name, name.encode("ascii").decode("idna"))
