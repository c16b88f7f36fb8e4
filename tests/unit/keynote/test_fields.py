"""From bytes to fields (``tests/data/fields.toml``), and from a file to assertions."""

from __future__ import annotations

import pytest

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import parse, split_assertions
from clearinghouse.keynote.fields import LABELS, split_fields
from tests.data import Case, each, table

LEGAL = [case for case in table("fields") if "fields" in case]


@each("fields")
def test_layout(case: Case) -> None:
    raw = case["text"].encode()
    if "refused" in case:
        with pytest.raises(MalformedAssertion, match=case["refused"]):
            parse(raw)
        return
    fields, mistakes = split_fields(raw.decode("latin-1"))
    assert mistakes == []
    assert [[field.label, fields.body(field).strip(" \t\n")] for field in fields.fields] == case["fields"]
    if "signed" in case:
        assert fields.text[fields.signed_start : fields.signed_end] == case["signed"]


@pytest.mark.parametrize("case", LEGAL, ids=lambda case: case["note"])
def test_legal_layouts_parse_as_a_whole(case: Case) -> None:
    raw = case["text"].encode()
    if {label for label, _ in case["fields"]} - {"Comment"}:
        assert parse(raw).raw == raw


@pytest.mark.parametrize("body", ["2", '"2"', " 2 ", '\n  "2"', "2 # ours", "# ours\n 2\n# end"])
def test_versions(body: str) -> None:
    assert parse(f'KeyNote-Version: {body}\nAuthorizer: "K"\n'.encode()).version


@pytest.mark.parametrize("body", ["", "1", "2.0", "02", "'2'", '"2', '2"', "2 2", '"2 "', "two"])
def test_other_versions(body: str) -> None:
    with pytest.raises(MalformedAssertion, match="reads KeyNote version 2"):
        parse(f'KeyNote-Version: {body}\nAuthorizer: "K"\n'.encode())


def test_a_field_is_found_by_its_label() -> None:
    fields, _ = split_fields('Authorizer: "K"\nLicensees: "a"\n')
    licensees = fields.get("Licensees")
    assert licensees is not None
    assert fields.body(licensees) == ' "a"\n'
    assert fields.get("Conditions") is None
    assert len(LABELS) == 7


# -- files -----------------------------------------------------------------------------------------


def test_empty_lines_separate_the_assertions_of_a_file() -> None:
    data = b'# a file\n\n\nAuthorizer: "a"\nLicensees: "b"\n\n# second\nAuthorizer: "c"\n \n\n\n  # end\n#\n'
    assert split_assertions(data) == [
        (4, b'Authorizer: "a"\nLicensees: "b"\n'),
        (7, b'# second\nAuthorizer: "c"\n \n'),
    ]


def test_a_broken_assertion_does_not_move_its_neighbours() -> None:
    assert [line for line, _ in split_assertions(b"x y z\n\n\n\nAuthorizer: b\n")] == [1, 5]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# only\n", b"  \t\n\n# this\n # that"])
def test_nothing_but_comments(data: bytes) -> None:
    assert split_assertions(data) == []


def test_a_frame_of_hash_signs_is_read_at_once() -> None:
    """With an ambiguous pattern this takes longer than the universe has."""
    frame = b"#" * 72 + b"\n"
    data = (
        frame
        + b"# policy #\n"
        + frame
        + b"Authorizer: "
        + frame
        + b' "K"\nLicensees: '
        + frame
        + b' "a"\nSignature: '
        + frame
        + b' "s" '
        + frame
    )
    assert split_assertions(data) == [(1, data)]
    assert parse(data).raw == data
    with pytest.raises(MalformedAssertion):
        parse(b"KeyNote-Version: 2 " + frame + b" 3\n" + data)
