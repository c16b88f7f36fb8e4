r"""RFC 2704 and nothing else: text in, compliance value and proof out.

>>> from clearinghouse import keynote
>>> policy = keynote.admit(b'Authorizer: "POLICY"\nLicensees: "hub"\nConditions: topic == "incidents" -> "allow";\n', policy=True)
>>> assertions = keynote.Assertions(policies=[policy])
>>> proof = assertions.query(authorizers=["hub"], action={"topic": "incidents"}, values=["deny", "ask", "allow"])
>>> proof.value
'allow'

``parse`` gives the tree of one assertion, ``admit`` an assertion that may be evaluated,
``Assertions.query`` an answer.  Every error is a :class:`clearinghouse.errors.ClearinghouseError`.
"""

from __future__ import annotations

from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.chain import Link
from clearinghouse.keynote.compliance import Assertions
from clearinghouse.keynote.context import POLICY
from clearinghouse.keynote.credential import Admissions, Admitted, Refused, admit
from clearinghouse.keynote.fields import split_assertions
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.missing import Missing, Step
from clearinghouse.keynote.parser import parse
from clearinghouse.keynote.printer import print_assertion
from clearinghouse.keynote.proof import Proof
from clearinghouse.keynote.signing import sign
from clearinghouse.keynote.skipped import Skipped

__all__ = [
    "POLICY",
    "Admissions",
    "Admitted",
    "Assertions",
    "Budget",
    "Limits",
    "Link",
    "Missing",
    "Proof",
    "Refused",
    "Skipped",
    "Step",
    "admit",
    "parse",
    "print_assertion",
    "sign",
    "split_assertions",
]
