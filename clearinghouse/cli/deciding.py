"""What the commands of people do, apart from their options."""

from __future__ import annotations

import hashlib
import json as json_text
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from clearinghouse.clearing.acts import Act, AddCredential, Approve, Deny, EndGrant, Lift, Revoke, WithdrawCredential
from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.cli import listing, principals, reading
from clearinghouse.cli.carrying import Carrier, confirm
from clearinghouse.cli.output import as_json, clean, finish, say
from clearinghouse.doors.control.client import NotRunning
from clearinghouse.errors import BadSettings
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding
from clearinghouse.keynote.octets import from_octets
from clearinghouse.settings import read_settings
from clearinghouse.settings.values import Duration

__all__ = [
    "AddCredential",
    "Carrier",
    "WithdrawCredential",
    "approve",
    "change",
    "credentials",
    "deny",
    "explain",
    "grants",
    "lift",
    "pending",
    "period",
    "revocations",
    "status",
    "submit",
    "what_to_revoke",
]

_PERIODS: Final = TypeAdapter[timedelta](Duration)


def period(text: str | None) -> timedelta | None:
    """Return the length of time that an option names, as settings write it."""
    if text is None:
        return None
    try:
        return _PERIODS.validate_python(text)
    except ValidationError as error:
        told = error.errors()[0].get("ctx", {})
        raise BadSettings(f"`--for` {told.get('fact', 'is no length of time')}", mend=str(told.get("mend", ""))) from None


# -- looking ------------------------------------------------------------------------------------------


def status(config: Path, *, json: bool) -> None:
    """Print how the service is; status 1 where a broker is away, or decisions were lost."""
    found = Carrier(config).asks("status")["status"]
    well = all(found.get("brokers", {}).values()) and not found.get("decisions_lost")
    if json:
        as_json("status", ok=well, status=found)
    else:
        listing.status(found)
    finish(ok=well)


def pending(config: Path, *, json: bool) -> None:
    """Print the open cases."""
    settings = read_settings(config)
    found = Carrier(config).asks("pending")
    if json:
        as_json("pending", ok=True, community=settings.community, cases=found["cases"], count=found["count"])
    else:
        listing.cases(found["cases"])
        _tell_more(found, "cases")


def grants(config: Path, *, ended: bool, json: bool) -> None:
    """Print what is granted."""
    found = Carrier(config).asks("grants", ended="yes" if ended else "")
    if json:
        as_json("grants", ok=True, grants=found["grants"], count=found["count"])
    else:
        listing.grants(found["grants"])
        _tell_more(found, "grants")


def revocations(config: Path, *, json: bool) -> None:
    """Print what is revoked."""
    found = Carrier(config).asks("revocations")
    if json:
        as_json("lift", ok=True, revocations=found["revocations"], count=found["count"])
    else:
        listing.revocations(found["revocations"])


def _tell_more(found: dict[str, Any], name: str) -> None:
    if found["count"] > len(found[name]):
        say(f"the latest {len(found[name])} of {found['count']}")


def explain(config: Path, identity: str, *, json: bool) -> None:
    """Print why a decision, case or grant is as it is: the service says it, or the store where no service runs."""
    settings = read_settings(config)
    try:
        if settings.control.socket is None:
            raise NotRunning("there is no control socket", mend="read the store")  # noqa: TRY301 - one way to the store
        told = Carrier(config).asks("explain", id=identity)["explanation"]
    except NotRunning:
        from clearinghouse.cli import recorded  # noqa: PLC0415 - as in `serve`

        recorded.show(config, identity, json=json)
        return
    if json:
        as_json("explain", ok=True, explanation=told)
        return
    for line in str(told).splitlines():
        say(clean(line))


# -- deciding -----------------------------------------------------------------------------------------


def approve(carrier: Carrier, identity: str, held: timedelta | None, seen: str | None, *, yes: bool, json: bool) -> None:
    """Show a case, and once the person agrees, approve exactly that."""
    carrier.check()
    case, community = _case(carrier, identity, seen)
    if hashlib.sha256(str(case["summary"]).encode("utf-8", "surrogatepass")).hexdigest() != case["shown"]:  # rule R4
        raise BadSettings("what would be shown is not what would be approved", mend="have the cases listed again, by the service itself")
    if not json:
        listing.summary(case)
    confirm("approve this?", yes=yes, json=json)
    act = Approve(case["id"], case["shown"], case["subject"], case["topic"], held)
    _decided("approve", replace(carrier, community=community), act, json=json)


def _case(carrier: Carrier, identity: str, seen: str | None) -> tuple[dict[str, Any], str]:
    """Return the case, from the service or from what `pending --json` printed elsewhere, and its community if that is told."""
    if seen is None:
        return carrier.asks("case", id=identity)["case"], ""
    try:
        told = json_text.loads(reading.read(seen))
        found = [each for each in told["cases"] if each["id"].startswith(identity)]
        texts = {name: str(each[name]) for each in found for name in ("id", "shown", "subject", "topic", "summary")}
        community = str(told["community"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadSettings(f"`{clean(seen)}` lists no cases", mend="give what `clearinghouse pending --json` printed") from None
    if len(found) != 1:
        raise BadSettings(f"`{clean(identity)}` names no single case of `{clean(seen)}`", mend="give a whole id of the list")
    return texts, community


def deny(carrier: Carrier, identity: str, reason: str, *, json: bool) -> None:
    """End a case with a no."""
    carrier.check()
    _decided("deny", carrier, Deny(identity, reason), json=json)


def _decided(command: str, carrier: Carrier, act: Act, *, json: bool) -> None:
    told = carrier.carries(act)
    if told is None:
        _tell_carried(command, carrier, json=json)
    else:
        _tell_outcome(command, told, json=json)


def _tell_carried(command: str, carrier: Carrier, *, json: bool) -> None:
    if json:
        as_json(command, ok=True, file=str(carrier.output))
    else:
        carrier.tell_written()


def _tell_outcome(command: str, told: dict[str, Any], *, json: bool) -> None:
    found = {name: told[name] for name in ("ruling", "changed") if name in told}
    if json:
        as_json(command, ok=True, **found)
    elif "ruling" in found:
        listing.ruling(found["ruling"])
    elif "changed" in found:
        listing.changed(found["changed"])


def submit(config: Path, file: str, *, json: bool) -> None:
    """Hand in what somebody signed elsewhere."""
    envelope = encoding.encode(reading.read(file).removesuffix(b"\n"), Encoding.BASE64)
    _tell_outcome("submit", Carrier(config).asks("submit", envelope=envelope), json=json)


# -- taking away --------------------------------------------------------------------------------------


def what_to_revoke(credential: str | None, principal: str | None, below: str | None, grant: str | None, reason: str, *, again: bool) -> Act:
    """Return the act that exactly one of four options names."""
    given = [each for each in (credential, principal, below, grant) if each is not None]
    if len(given) != 1:
        fact = "several things are named" if given else "nothing is named"
        raise BadSettings(fact, mend="give one of `--credential`, `--key`, `--below` and `--grant`")
    if again and grant is None:
        raise BadSettings(
            "only whoever held a grant can ask again", mend="leave `--may-ask-again` out: a key or credential is revoked for good"
        )
    if grant is not None:
        return EndGrant(grant, reason, again)
    if credential is not None:
        return Revoke(RevocationKind.CREDENTIAL, credential, reason)
    kind = RevocationKind.PRINCIPAL if principal is not None else RevocationKind.BELOW
    return Revoke(kind, from_octets(principals.normal(given[0])), reason)


def change(command: str, carrier: Carrier, act: Act, *, dry_run: bool, yes: bool, json: bool) -> None:
    """Say who loses and wins what, and once the person agrees, do it; with *dry_run* only say it."""
    carrier.check()
    if dry_run:
        _tell_tried(command, carrier, act, json=json)
        return
    if not yes:  # with -o nothing is done yet, and there may be no service here
        if carrier.output is None and not json:
            _preview(carrier, act)
        confirm("do it?", yes=carrier.output is not None, json=json)
    _decided(command, carrier, act, json=json)


def _tell_tried(command: str, carrier: Carrier, act: Act, *, json: bool) -> None:
    if isinstance(act, EndGrant):
        _preview(carrier, act) if not json else as_json(command, ok=True, grant=_grant(carrier, act.grant))
    else:
        _tell_outcome(command, carrier.tries(act), json=json)


def _preview(carrier: Carrier, act: Act) -> None:
    if isinstance(act, EndGrant):
        listing.grants([_grant(carrier, act.grant)])
    else:
        listing.changed(carrier.tries(act)["changed"])


def _grant(carrier: Carrier, identity: str) -> dict[str, Any]:
    found = [each for each in carrier.asks("grants")["grants"] if each["id"].startswith(identity)]
    if len(found) != 1:
        raise BadSettings(f"`{clean(identity)}` names no single grant", mend="give an id of `clearinghouse grants`")
    only: dict[str, Any] = found[0]
    return only


def lift(carrier: Carrier, identity: str, *, json: bool) -> None:
    """Lift the bar on a holder."""
    carrier.check()
    told = carrier.carries(Lift(identity))
    if told is None:
        _tell_carried("lift", carrier, json=json)
    elif "revocation" not in told:
        _tell_outcome("lift", told, json=json)
    elif json:
        as_json("lift", ok=True, revocation=told["revocation"])
    else:
        say(f"lifted: {clean(told['revocation']['name'])} may ask again")


def credentials(config: Path, *, json: bool) -> None:
    """Print every credential that counts."""
    found = Carrier(config).asks("credentials")
    if json:
        as_json("credentials", ok=True, credentials=found["credentials"], count=found["count"])
    else:
        listing.credentials(found["credentials"])
        _tell_more(found, "credentials")
