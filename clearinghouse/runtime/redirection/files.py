"""What is wrong with the files that a door needs, and what may not be meant, before it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from clearinghouse.doors.s2s.identity import identity_of
from clearinghouse.doors.s2s.tls import WARNING, Certificates, Pair, read_certificates
from clearinghouse.doors.s2s.trust import read_authorities
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.redirection.seen import Require
from clearinghouse.settings import Redirect


def problems(settings: Redirect, now: datetime) -> Iterator[ClearinghouseError]:
    """Yield what would keep the door from opening, or peers from being answered."""
    for name, pair in _pairs(settings):
        try:
            Certificates(pair)
            yield from _about(name, pair, read_certificates(pair.certificate), now)
        except ClearinghouseError as error:
            yield error
    try:
        until = read_authorities(settings.anchors_file, settings.revocations_file).until
        if until is not None and until <= now:
            fact = f"a list in `{settings.revocations_file}` has ended at {until:%Y-%m-%d %H:%M}: no certificate would be believed"
            yield BadSettings(fact, mend="fetch the lists again; authorities sign new ones before the old ones end")
    except ClearinghouseError as error:
        yield error


def cautions(settings: Redirect, now: datetime) -> Iterator[str]:
    """Yield what is allowed and dangerous, or soon to be mended."""
    for each in settings.fronted:
        yield f"the door has the key of `{each.domain}`: whoever takes over its host can be that member towards everybody"
    if settings.require is Require.NOTHING:
        yield "`require` in [redirect] is `none`: whoever claims a name learns what policy says of it, where policy licenses `unproven`"
    for name, pair in _pairs(settings):
        try:
            ends = min(each.not_valid_after_utc for each in read_certificates(pair.certificate))
        except ClearinghouseError:
            continue  # `problems` names it
        if now < ends < now + WARNING:
            yield f"the certificate of the door for `{name}` ends at {ends:%Y-%m-%d %H:%M}"


def _pairs(settings: Redirect) -> Iterator[tuple[str, Pair]]:
    yield settings.name, Pair(settings.certificate_file, settings.key_file)
    yield from ((each.domain, Pair(each.certificate_file, each.key_file)) for each in settings.fronted)


def _about(name: str, pair: Pair, chain: list[x509.Certificate], now: datetime) -> Iterator[BadSettings]:
    """Say of a certificate that it is for another name, or not for now: peers would not believe the door."""
    try:
        covered = identity_of(chain[0], now).covers(name)
    except ValueError:
        covered = False
    if not covered:
        yield BadSettings(f"the certificate `{pair.certificate}` is not for `{name}`", mend="have one issued whose names include it")
    for each in chain:
        if not each.not_valid_before_utc <= now < each.not_valid_after_utc:
            holds = f"{each.not_valid_before_utc:%Y-%m-%d} to {each.not_valid_after_utc:%Y-%m-%d %H:%M}"
            yield BadSettings(f"a certificate in `{pair.certificate}` holds from {holds}", mend="have it renewed, and look at the clock")
