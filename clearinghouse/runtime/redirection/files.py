"""What is wrong with the files that a door needs, and what may not be meant, before it is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from cryptography import x509

from clearinghouse.doors.s2s.identity import identity_of
from clearinghouse.doors.s2s.tls import WARNING, Certificates, Pair, read_certificates
from clearinghouse.doors.s2s.trust import read_authorities
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.published.pins import pin_of
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
    yield from _about_shared_keys(settings)
    try:
        yield from _about_authorities(settings, now)
    except ClearinghouseError as error:
        yield error


def spool_problems(settings: Redirect) -> Iterator[ClearinghouseError]:
    """Yield what would keep a node from keeping its answers while the store is away."""
    folder = settings.spool_file.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        fact = f"the directory of `spool_file`, `{folder}`, is absent or cannot be written"
        yield BadSettings(fact, mend="make it, or name another `spool_file` in [redirect]")


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
    yield from _about_ended_anchors(settings, now)


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


def _about_shared_keys(settings: Redirect) -> Iterator[BadSettings]:
    """Say which member's certificate has the door's own key: servers that know it as a door's send that member nothing."""
    shown = {}
    for name, pair in _pairs(settings):
        with suppress(ClearinghouseError):  # `problems` names it
            shown[name] = pin_of(read_certificates(pair.certificate)[0])
    for each in settings.fronted:
        if shown.get(each.domain) == shown.get(settings.name, ""):
            fact = f"the certificate of the door for `{each.domain}` has the door's own key, which servers take for nobody else's"
            yield BadSettings(fact, mend="have one issued for a key of its own")


def _about_authorities(settings: Redirect, now: datetime) -> Iterator[BadSettings]:
    """Say where no certificate of a peer can be believed any more, whoever shows it."""
    authorities = read_authorities(settings.anchors_file, settings.revocations_file)
    if all(each.not_valid_after_utc < now for each in read_certificates(settings.anchors_file)):
        fact = f"every authority in `{settings.anchors_file}` has ended: no peer would be believed"
        yield BadSettings(fact, mend="put the authorities' new certificates into `anchors_file`")
    for issuer, until in authorities.until.items():
        if until <= now:
            of, file = issuer.rfc4514_string(), settings.revocations_file
            fact = f"the list of `{of}` in `{file}` has ended at {until:%Y-%m-%d %H:%M}: no certificate of it would be believed"
            yield BadSettings(fact, mend="fetch the list again; an authority signs a new one before the old one ends")


def _about_ended_anchors(settings: Redirect, now: datetime) -> Iterator[str]:
    try:
        anchors = read_certificates(settings.anchors_file)
    except ClearinghouseError:
        return  # `problems` names it
    ended = [each for each in anchors if each.not_valid_after_utc < now]
    for each in ended if len(ended) < len(anchors) else ():
        yield f"`{each.subject.rfc4514_string()}` in `{settings.anchors_file}` has ended at {each.not_valid_after_utc:%Y-%m-%d %H:%M}"
