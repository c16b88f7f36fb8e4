"""Payloads, contents and deltas: each has one form, and anything else is refused before it means something."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from clearinghouse.clearing.dsse import TABLE, TIMESTAMP, assembled, countersigned, opened, signatures_of
from clearinghouse.clearing.wire import canonical
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.published import deltas, revocations, roots, tables, timestamps
from clearinghouse.federation.published.documents import MAX_DELTA_BYTES, digest, joined
from clearinghouse.federation.roles.ceremonies import Keyholders
from clearinghouse.federation.trust.trusted import follow
from tests.presses import LEVELS, NOW, Press, key, made, plan, who

PRESS = Press()
PRESS.prints({"a.example": "level-1"})


def payload(name: str) -> dict[str, Any]:
    """The payload of a document of the press, as an object."""
    sealed = PRESS.documents[name].partition(b"\n")[0]
    kind = json.loads(sealed)["payloadType"]
    found: dict[str, Any] = json.loads(opened(sealed, payload_type=kind).payload)
    return found


READERS: dict[str, tuple[str, Callable[[bytes], object]]] = {
    "table": ("community/table/1", tables.read_payload),
    "timestamp": ("community/timestamp", timestamps.read_payload),
    "revocations": ("revocations/1", revocations.read_payload),
    "root": ("root/1", roots.read_payload),
}
ID = digest(b"")
LEVELS_THAT_ARE_NONE: list[list[Any]] = [[], ["deny", "deny"], ["a b"], ['"'], [1], ["x" * 65], [f"l{number}" for number in range(65)]]
REVOCATIONS_THAT_ARE_NONE: list[Any] = [{}, {"digest": ID, "version": 0}, {"digest": "", "version": 1}, [], {"digest": ID}]
MEMBERS_THAT_ARE_NONE: list[Any] = [{}, {"digest": ID, "size": 0}, {"digest": "", "size": 2}, {"digest": ID, "size": 2**28 + 1}]
WRONG: list[tuple[str, str, Any]] = [
    *((kind, "community", value) for kind in READERS for value in ("", "a\0b", "x" * 1_024, None, 1)),
    *((kind, "epoch", value) for kind in READERS for value in (0, -1, 2**31, "1", True, 1.5)),
    *((kind, "issued", value) for kind in READERS for value in ("", "2026-11-20", "2026-11-20T12:00:00Z", "2099-01-01T00:00:00.000000Z")),
    *((kind, "expires", value) for kind in READERS for value in ("2026-11-20T12:00:00.000000+00:00", NOW.isoformat(), 0)),
    *((kind, "another", "member") for kind in READERS),
    *(("table", "audience", value) for value in ("", "A.example", "a..b", "**", "a.example.")),
    *(("table", "version", value) for value in (0, 10**15, "1")),
    *(("table", name, value) for name in ("content", "previous", "delta") for value in ("0", ID.upper(), ID + "0")),
    ("table", "content", ""),
    *(("table", "levels", value) for value in LEVELS_THAT_ARE_NONE),
    *(("table", "count", value) for value in (-1, 10**15)),
    *(("table", "size", value) for value in (0, 2**25 + 1)),
    *(("timestamp", "head", value) for value in ("", "0", ID.upper())),
    *(("timestamp", name, value) for name in ("root", "version", "size") for value in (0, -1, "1")),
    *(("timestamp", "revocations", value) for value in REVOCATIONS_THAT_ARE_NONE),
    *(("timestamp", "members", value) for value in MEMBERS_THAT_ARE_NONE),
    *(("revocations", "version", value) for value in (0, 10**15)),
    *(("revocations", "credentials", value) for value in (["0"], [ID, ID], [ID.upper()], [1], ["f" * 64, "0" * 64])),
    *(
        ("revocations", name, value)
        for name in ("principals", "below")
        for value in ([*who("a", "a")], ["ed25519-hex:00"], [who("a")[0].upper()])
    ),
    *(("root", "policy", value) for value in ([], ["x"] * 17, [1])),
    ("root", "credentials", ["x"] * 129),
    *(("root", "generation", value) for value in (0, 10**15)),
]


@pytest.mark.parametrize("kind, name", dict.fromkeys((kind, name) for kind, name, _ in WRONG))
def test_a_payload_that_is_none(kind: str, name: str) -> None:
    document, read = READERS[kind]
    good = payload(document)
    read(canonical(good))
    for value in (value for other, named, value in WRONG if (other, named) == (kind, name)):
        raw = canonical(good | {name: value}) if not isinstance(value, float) else json.dumps(good | {name: value}).encode()
        with pytest.raises(ClearinghouseError) as refused:
            read(raw)
        assert refused.value.code == "malformed-document", value
        assert refused.value.message.isprintable()
        assert refused.value.mend


@pytest.mark.parametrize("kind", READERS)
def test_a_payload_has_one_spelling(kind: str) -> None:
    document, read = READERS[kind]
    good = payload(document)
    for raw in (
        json.dumps(good).encode(),
        canonical(good) + b"\n",
        b" " + canonical(good),
        canonical(good).replace(b"csirt", b"\\u0063sirt"),
    ):
        with pytest.raises(ClearinghouseError, match="canonical form"):
            read(raw)
    for name in good:
        with pytest.raises(ClearinghouseError, match="has no member"):
            read(canonical({each: value for each, value in good.items() if each != name}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}\n",
        b'{"level-1":[]}',
        b'{"level-1":["a.example",]}',
        b'{"level-1": ["a.example"]}',
        b'{"level-1":["b.example","a.example"]}',
        b'{"level-1":["a.example","a.example"]}',
        b'{"level-1":["a.example"],"level-2":["a.example"]}',
        b'{"level-2":["a.example"],"level-1":["b.example"]}',
        b'{"level-1":["a.example"],"level-1":["b.example"]}',
        b'{"deny":["a.example"]}',
        b'{"level-9":["a.example"]}',
        b'{"level-1":["A.example"]}',
        b'{"level-1":["a..example"]}',
        b'{"level-1":["a.example."]}',
        b'{"level-1":["-a.example"]}',
        b'{"level-1":["*"]}',
        b'{"level-1":[""]}',
        b'{"level-1":["\\u0061.example"]}',
        b'{"level-1":["a.example"]',
        '{"level-1":["bücher.example"]}'.encode(),
        b'{"level-1":["a.example"]}\0',
        b'{"level-1":{"a.example":1}}',
    ],
    ids=lambda raw: repr(raw[:60]),
)
def test_a_content_that_is_none(content: bytes) -> None:
    with pytest.raises(ClearinghouseError) as refused:
        tables.read_content(content, LEVELS)
    assert refused.value.code == "malformed-document"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"set":{}}',
        b'{"set":{},"unset":[""]}',
        b'{"set":{"level-1":[]},"unset":[]}',
        b'{"set":{"deny":["a.example"]},"unset":[]}',
        b'{"set":{"level-9":["a.example"]},"unset":[]}',
        b'{"set":{"level-1":["b.example","a.example"]},"unset":[]}',
        b'{"set":{"level-1":["a.example"],"level-2":["a.example"]},"unset":[]}',
        b'{"set":{"level-1":["a.example"]},"unset":["a.example"]}',
        b'{"set":{"level-1":"a.example"},"unset":[]}',
        b'{"set":{"level-1":[1]},"unset":[]}',
        b'{"set":[],"unset":[]}',
        b'{"set":{},"unset":["A.example"]}',
        b'{"unset":[],"set":{}}',
    ],
    ids=repr,
)
def test_a_delta_that_is_none(content: bytes) -> None:
    with pytest.raises(ClearinghouseError) as refused:
        deltas.read_delta(content, LEVELS)
    assert refused.value.code == "malformed-document"


def test_a_delta_that_is_too_long_is_not_read() -> None:
    with pytest.raises(ClearinghouseError) as refused:
        deltas.read_delta(b" " * (MAX_DELTA_BYTES + 1), LEVELS)
    assert refused.value.code == "endless-data"


# -- several signatures on one document ------------------------------------------------------------------------


def test_two_table_keys_on_two_machines() -> None:
    """One signs, the file is carried to the other, which signs as well; neither ever has the other's key."""
    press = Press(root=made(plan(1, 1, table=Keyholders(who("t1", "t2", "t3"), 2))))
    press.signers["table"] = ("t3",)
    press.prints({"a.example": "level-1"})
    alone, _, content = press.documents["community/table/1"].partition(b"\n")
    assert [each.code for each in follow(press.trusted(), press.fetch, press.now)] == ["too-few-signers"]
    both = countersigned(alone, TABLE, [key("t1")])
    assert opened(both, payload_type=TABLE).signers == who("t3", "t1")
    press.documents["community/table/1"] = joined(both, content)
    assert press.followed().rows == {"a.example": "level-1"}


def test_signatures_that_were_made_elsewhere_are_put_together() -> None:
    sealed = PRESS.documents["community/timestamp"]
    found = opened(sealed, payload_type=TIMESTAMP)
    other = countersigned(sealed, TIMESTAMP, [key("second")])
    assert assembled(found.payload, TIMESTAMP, signatures_of(other)) == other
    assert opened(other, payload_type=TIMESTAMP).payload == found.payload


def test_nobody_signs_on_top_of_what_does_not_hold() -> None:
    sealed = PRESS.documents["community/timestamp"]
    for spoiled, code in (
        (sealed.replace(b'"sig":"sig-ed25519-hex:', b'"sig":"sig-ed25519-hex:00'), "bad-signature"),
        (sealed.replace(b"timestamp+json", b"table+json"), "wrong-payload-type"),
    ):
        with pytest.raises(ClearinghouseError) as refused:
            countersigned(spoiled, TIMESTAMP, [key("second")])
        assert refused.value.code == code
    with pytest.raises(ClearinghouseError) as refused:
        countersigned(sealed, TIMESTAMP, [key("timestamp")])
    assert refused.value.code == "signed-twice"
