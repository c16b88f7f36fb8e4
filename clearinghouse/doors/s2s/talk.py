"""One peer's talk with the door: what it is offered, when it is answered, and what it had proven by then.

============================================== ===================================================================
on a plain stream                              STARTTLS, which it must take unless nothing need be proven
TLS, a certificate that covers its `from`      the answer, before any features
TLS, a certificate without a `from` for it     EXTERNAL, and the answer at the header of the authenticated stream
TLS, no certificate that counts                dialback where that counts, else the answer: a bare refusal
`db:result`, whenever it comes                 the answer, after the key was verified where that counts
no `from` and no `to` in its header (jabberd2) the answer at its `db:result`, the only place where it names the pair
============================================== ===================================================================

An old server that reads no features, and cannot be offered TLS, goes on with `db:result` at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import structlog
from OpenSSL import SSL

from clearinghouse.doors.s2s.events import Authenticating, DialbackAsked, Ended, Event, Opened, StartTls
from clearinghouse.doors.s2s.identity import Identity
from clearinghouse.doors.s2s.stream import Starttls, Stream
from clearinghouse.doors.s2s.tls import Certificates
from clearinghouse.doors.s2s.trust import Doubt, Trust, Verdict
from clearinghouse.doors.s2s.wires import Wire
from clearinghouse.federation.redirection.answers import Answer, Porter, Redirect, Refused
from clearinghouse.federation.redirection.seen import NONE, Proof, Require, Seen
from clearinghouse.telemetry import NOISE

log = structlog.get_logger(__name__)

FAILED: Final = Refused("internal-error")
"""What a peer hears when a mistake of ours keeps it from being answered; the log has its trace."""

SHUTDOWN: Final = Refused(condition="system-shutdown")
"""What a peer hears that was not answered when the door closes (RFC 6120, section 4.9.3.20)."""


class Verifier(Protocol):
    """Verifies keys of dialback."""

    async def verify(self, asked: DialbackAsked, address: str) -> bool:
        """Say whether the recorded server of the domain that is claimed knows the key as its own; *address* has caused it."""


@dataclass(slots=True)
class Counts:
    """What the door did since it was opened."""

    redirected: int = 0
    refused: int = 0
    unproven: int = 0
    late: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class House:
    """What all talks of one door share."""

    porter: Porter
    certificates: Certificates
    trust: Trust
    dialback: Verifier
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    run: Callable[[Coroutine[None, None, None]], asyncio.Task[None]]
    """Starts what must wait, and ends it with the door."""
    counts: Counts


class Conversation:
    """A peer's talk with the door."""

    __slots__ = ("_cipher", "_house", "_stream", "_task", "_tls_version", "_verdict", "_wanted", "_wire")

    def __init__(self, wire: Wire, house: House, *, secure: bool) -> None:
        """Talk on *wire*; with *secure* TLS comes before the first header."""
        self._wire, self._house = wire, house
        self._stream = Stream(secure=secure, new_id=house.new_id)
        self._tls_version = self._cipher = NONE
        self._verdict: Verdict = Doubt.NONE_SHOWN
        self._wanted = ""
        self._task: asyncio.Task[None] | None = None

    # -- what the wire tells ------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Take what the peer sent; after its end there is still the answer that it waits for."""
        try:
            if data:
                self._go_on(self._stream.receive(data))
            elif self._task is None:
                self._stream.end()
                self._wire.abort()
        except Exception:
            log.exception("talk_failed", **{NOISE: self._wire.address})
            self._broken()

    def secured(self, tls: SSL.Connection) -> None:
        """Begin anew, on TLS."""
        try:
            self._secured(tls)
        except Exception:
            log.exception("talk_failed", **{NOISE: self._wire.address})
            self._broken()

    def _broken(self) -> None:
        """End after a mistake of ours, which is in the log; no other talk suffers from it."""
        self._house.counts.failed += 1
        self._wire.abort()

    def _secured(self, tls: SSL.Connection) -> None:
        self._tls_version = tls.get_protocol_version_name().removeprefix("TLSv")
        self._cipher = tls.get_cipher_name() or NONE
        if not self._stream.secure:
            self._stream.secured()
        self._verdict = self._house.trust.judge(tls.get_peer_certificate(), tls.get_peer_cert_chain() or (), self._house.now())
        self._wire.progressed()

    def late(self) -> None:
        """Tell the peer that it took too long."""
        self._house.counts.late += 1
        self._stream.timeout()
        self._end()

    def gone(self) -> None:
        """Stop whatever is being done for a peer that is not there any more."""
        self._stream.end()
        if self._task is not None:
            self._task.cancel()

    def shut(self) -> None:
        """Tell a peer that was not answered yet that the door closes."""
        self._stream.answer(SHUTDOWN)
        self._end()

    # -- what the stream tells ----------------------------------------------------------------------------

    def _go_on(self, event: Event | None) -> None:
        """Do what each *event* asks for, until the peer must say more, or has asked what takes time."""
        while event is not None:
            self._do(event)
            if self._task is not None or isinstance(event, StartTls | Ended):
                return
            self._wire.send(self._stream.take())
            event = self._stream.receive(b"")
        self._wire.send(self._stream.take())

    def _do(self, event: Event) -> None:
        match event:
            case Opened():
                self._opened(event)
            case StartTls():
                self._start_tls()
            case Authenticating(name):
                self._authenticate(name)
            case DialbackAsked():
                self._ask(event.claimed, event.wanted, self._proof(event.claimed), event)
            case Ended():
                self._end()

    def _opened(self, event: Opened) -> None:
        self._wire.progressed()
        self._wanted = event.wanted
        certified = isinstance(self._verdict, Identity)
        proof = Proof.CERTIFICATE if self._stream.proven_as else self._proof(event.claimed)
        if not self._stream.secure and event.modern:
            must = self._house.porter.require is not Require.NOTHING
            self._offer(starttls=Starttls.REQUIRED if must else Starttls.OPTIONAL, dialback=not must)
        elif proof is Proof.CERTIFICATE and (event.wanted or self._stream.proven_as):
            self._ask(event.claimed, event.wanted, proof)
        elif certified or self._may_dial(event):
            self._offer(external=certified, dialback=self._may_dial(event))
        else:
            self._ask(event.claimed, event.wanted, proof)

    def _may_dial(self, event: Opened) -> bool:
        """Say whether the answer may wait for a `db:result`: where that counts, and where the pair is named there only."""
        counts = self._house.porter.require is not Require.CERTIFICATE
        return event.dialback and (counts or not (event.claimed and event.wanted))

    def _offer(self, *, starttls: Starttls = Starttls.NO, external: bool = False, dialback: bool = False) -> None:
        self._stream.offer(starttls=starttls, external=external, dialback=dialback)

    def _start_tls(self) -> None:
        self._stream.proceed()
        self._wire.send(self._stream.take())
        self._wire.secure(partial(self._house.certificates.accepting, self._wanted))

    def _authenticate(self, name: str) -> None:
        if isinstance(self._verdict, Identity) and self._verdict.covers(name):
            self._wire.progressed()
            self._stream.proven(name)
        else:
            self._stream.refuse_sasl("not-authorized" if name else "invalid-authzid")

    def _proof(self, claimed: str) -> Proof:
        covered = isinstance(self._verdict, Identity) and self._verdict.covers(claimed)
        return Proof.CERTIFICATE if covered else Proof.NOTHING

    # -- the answer ---------------------------------------------------------------------------------------

    def _ask(self, claimed: str, wanted: str, proof: Proof, key: DialbackAsked | None = None) -> None:
        """Have the question decided; what the peer sends meanwhile waits."""
        self._wire.pause()
        if proof is not Proof.NOTHING:
            self._wire.proven()
        self._task = self._house.run(self._answered(self._seen(claimed, wanted, proof), key))

    def _seen(self, claimed: str, wanted: str, proof: Proof) -> Seen:
        certified = self._verdict if isinstance(self._verdict, Identity) else None
        return Seen(
            claimed,
            wanted,
            proof,
            key=certified.key if certified and proof is Proof.CERTIFICATE else "",
            issuer=certified.issuer if certified else NONE,
            tls_version=self._tls_version,
            cipher=self._cipher,
            address=self._wire.host,
            doubt="" if proof is Proof.CERTIFICATE else self._doubt(),
        )

    def _doubt(self) -> Doubt:
        """Say why the certificate proves nothing of what the peer claims."""
        return self._verdict if isinstance(self._verdict, Doubt) else Doubt.OTHER_NAME

    async def _answered(self, seen: Seen, key: DialbackAsked | None) -> None:
        try:
            if key is not None and seen.proof is Proof.NOTHING and await self._dialled(key):
                seen = replace(seen, proof=Proof.DIALBACK)
            self._tell_doubt(seen)
            answer = await self._house.porter.answer(seen)
        except Exception:
            self._house.counts.failed += 1
            log.exception("question_failed", **{NOISE: self._wire.address})
            answer = FAILED
        self._say(answer)

    async def _dialled(self, key: DialbackAsked) -> bool:
        if self._house.porter.require is Require.CERTIFICATE:
            return False
        valid = await self._house.dialback.verify(key, self._wire.address)
        if valid:
            self._wire.proven()
        return valid

    def _tell_doubt(self, seen: Seen) -> None:
        """Tell the operator, and not the peer, why a certificate that it has shown proved nothing."""
        if seen.proof is not Proof.NOTHING:
            return
        self._house.counts.unproven += 1
        doubt = self._doubt()
        if doubt is not Doubt.NONE_SHOWN:
            told = {"claimed": seen.claimed, "wanted": seen.wanted, "because": str(doubt), "address": seen.address}
            log.info("certificate_doubted", **told, **{NOISE: self._wire.address})

    def _say(self, answer: Answer) -> None:
        if isinstance(answer, Redirect):
            self._house.counts.redirected += 1
        else:
            self._house.counts.refused += 1
        self._stream.answer(answer)
        self._end()

    def _end(self) -> None:
        self._wire.close(self._stream.take())
