"""What `fmt` writes: the same meaning, the same comments, and nothing changes the second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clearinghouse import keynote
from clearinghouse.errors import ClearinghouseError, MalformedAssertion
from clearinghouse.keynote import Limits
from clearinghouse.keynote.layout import layout

VECTORS = sorted((Path(__file__).parents[2] / "conformance").glob("*.jsonl"))

UNTIDY = b"""# The first policy.
authorizer :"POLICY"
"""

COMMENTED = b"""\
# The topic of the community.
licensees:   "hub"||"other"   # two of them
# asked every year
Authorizer:   "POLICY"

"""

COMMENTED_FORM = b"""\
# The topic of the community.
licensees:   "hub"||"other"   # two of them
# asked every year
Authorizer: "POLICY"
"""


@pytest.mark.parametrize(
    "raw,form",
    [
        (b'licensees: "hub"\nAUTHORIZER:"POLICY"', b'Authorizer: "POLICY"\nLicensees: "hub"\n'),
        (COMMENTED, COMMENTED_FORM),
        (
            b'Authorizer: "POLICY"\n# who\nLicensees:("hub")\n# when\n \n# and why\nConditions: (a=="#1")&&b == "2";\n',
            b'Authorizer: "POLICY"\n# who\nLicensees: "hub"\n# when\n# and why\nConditions: a == "#1" && b == "2";\n',
        ),
        (b'Comment: a # b\n  c\nLicensees: "b"\nAuthorizer: "x"\n', b'Comment: a # b\n  c\nAuthorizer: "x"\nLicensees: "b"\n'),
        (b'Licensees:"b"\nComment: a\n# b\nAuthorizer: "x"\n', b'Licensees: "b"\nComment: a\n# b\nAuthorizer: "x"\n'),
        (
            b'Authorizer: "x"\nConditions: true->{a=="1"&&b=="2"->"ask";true->"allow";};c=="3";',
            b'Authorizer: "x"\nConditions: true -> {\n    a == "1" && b == "2" -> "ask";\n    true -> "allow";\n  };\n  c == "3";\n',
        ),
    ],
    ids=["order", "inline", "between", "hash-in-comment", "after-comment", "clauses"],
)
def test_the_form(raw: bytes, form: bytes) -> None:
    assert layout(raw) == form
    assert layout(form) == form


def test_a_signed_credential_is_left_alone() -> None:
    with pytest.raises(MalformedAssertion, match="would break the signature") as caught:
        layout(b'Authorizer: "x"\nSignature: "sig-ed25519-hex:00"\n')
    assert (caught.value.line, caught.value.column) == (2, 1)


def test_what_does_not_parse_is_not_laid_out() -> None:
    with pytest.raises(MalformedAssertion, match="blank between"):
        layout(UNTIDY)


@pytest.mark.parametrize("file", VECTORS, ids=lambda path: path.stem)
def test_no_vector_changes_its_meaning(file: Path) -> None:
    """Thousands of layouts made by another hand: comments, continuation lines, odd brackets."""
    for line in file.read_text().splitlines()[::7]:
        for assertion in json.loads(line)["assertions"]:
            raw = assertion["text"].encode()
            try:
                form = layout(raw)
            except ClearinghouseError:
                continue
            limits = Limits.local()
            assert keynote.parse(form, limits=limits) == keynote.parse(raw, limits=limits)
            assert layout(form) == form
