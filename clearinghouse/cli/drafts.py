"""From the options of ``sign`` to the draft of a credential."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from enum import StrEnum

from clearinghouse.clearing.vocabulary import OPERATIONS
from clearinghouse.cli import principals, reading
from clearinghouse.cli.output import Located, clean
from clearinghouse.errors import BadSettings, MalformedAssertion
from clearinghouse.keynote.octets import from_octets, to_octets
from clearinghouse.keynote.parser import parse_body
from clearinghouse.keynote.signing import Draft, compose
from clearinghouse.keynote.strings import quote

AUDIT = (
    "XMPP_TLS_for_s2s",
    "XMPP_SRTP_for_video",
    "XMPP_Sanza_byte_size_limit",
    "XMPP_Multi_User_Chat",
    "Firewall_Packet_Filtering",
    "XMPP_Publish_Suscribe_Service",
    "Ingress_IP_Filtering",
    "Third_Party_DOS_Mitigation_OK",
)
"""What a security audit says about a server, under the names (and in the spelling) of the published policies."""


class Template(StrEnum):
    """The forms of credentials that `sign` knows."""

    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `sign` that say what a credential is to hold, in the order of its help."""

    licensees: list[str]
    threshold: int
    conditions: list[str]
    value: str
    operation: str
    until: str | None
    forever: bool
    may_delegate: bool
    comment: str
    template: Template | None
    attributes: list[str]


def composed(wanted: Wanted, authorizer: str, serial: str) -> bytes:
    """Return the unsigned credential; raises BadSettings for options that do not fit, and Located."""
    _check(wanted)
    draft = Draft(
        authorizer=from_octets(authorizer),
        licensees=_licensees(wanted),
        conditions=" && ".join(_tests(wanted)),
        value=wanted.value,
        operation=wanted.operation,
        until=_last_day(wanted.until) if wanted.until is not None else None,
        may_delegate=wanted.may_delegate,
        comment=wanted.comment,
        serial=serial,
    )
    return compose(draft)


def _check(wanted: Wanted) -> None:
    if not wanted.operation and not wanted.may_delegate:
        mend = "name it, `--operation subscribe`, or allow delegation, `--may-delegate`"
        raise BadSettings("a credential is for one operation", mend=mend)
    if wanted.until is None and not wanted.forever:
        raise BadSettings("a credential has a last day", mend="give it, `--until 2027-01-01`, or say `--forever`")
    if wanted.operation and wanted.operation not in OPERATIONS:
        close = get_close_matches(wanted.operation, OPERATIONS, n=1)
        mend = f"did you mean `{close[0]}`?" if close else f"they are {', '.join(OPERATIONS)}"
        raise BadSettings(f"`{clean(wanted.operation)}` is no operation", mend=mend)
    if wanted.attributes and wanted.template is None:
        raise BadSettings("`--attribute` is for `--template audit`", mend="write a test: `--condition 'topic == \"incidents\"'`")
    if wanted.threshold > len(wanted.licensees):
        message = f"{wanted.threshold} of {len(wanted.licensees)} licensees can never ask together"
        raise BadSettings(message, mend="name more, or lower `--threshold`")


def _last_day(until: str) -> date:
    """Return the first day on which it no longer holds; refuses one that has begun."""
    found = reading.instant(until).date()
    if found <= reading.instant(None).date():
        raise BadSettings(f"a credential until `{clean(until)}` has ended already", mend="give a day to come, in UTC")
    return found


def _licensees(wanted: Wanted) -> str:
    """Return the licensees as KeyNote text."""
    names = [from_octets(quote(_licensee(each))) for each in wanted.licensees]
    return " || ".join(names) if wanted.threshold == 1 else f"{wanted.threshold}-of({', '.join(names)})"


def _licensee(argument: str) -> str:
    """Return one licensee as octet text; refuses what can never ask (rule R9), so that its licence would be for nobody."""
    found = principals.principal(argument)
    if found in {"", "POLICY"} or "," in found:
        raise BadSettings(
            f"`{clean(from_octets(found))}` can never ask for anything", mend="license a key or a user, each by its own `--licensee`"
        )
    return found


def _tests(wanted: Wanted) -> list[str]:
    """Return each condition, which must be one test where there are several, and the template's."""
    tests = list(wanted.conditions) + (_audit(reading.attributes(wanted.attributes, None)) if wanted.template else [])
    if len(tests) == 1:
        return tests
    for number, test in enumerate(wanted.conditions, start=1):
        try:
            parse_body("Conditions", f"({to_octets(test)});")
        except MalformedAssertion as error:
            error.column, error.caret = max(1, error.column - 1), max(1, error.caret - 1)
            error.source = clean(test)
            raise Located(error, f"--condition {number}") from None
    return [f"({test})" for test in tests]


def _audit(found: dict[str, str]) -> list[str]:
    """Return a test for every audit attribute; one that was not audited is pinned to the empty text."""
    unknown = [name for name in found if name not in AUDIT]
    if unknown:
        raise BadSettings(f"`{clean(unknown[0])}` is no audit attribute", mend=f"they are {', '.join(AUDIT)}")
    return [f"{name} == {from_octets(quote(to_octets(found.get(name, ''))))}" for name in AUDIT]
