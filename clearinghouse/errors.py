"""Every error of the clearinghouse, in one tree, sorted by who must act.

::

    ClearinghouseError
    ├── OperatorError            who runs the clearinghouse mends it (exit 2, HTTP 500)
    │   ├── BadSettings          a settings file, or an option on the command line
    │   ├── BadPolicy            an assertion on the trusted channel that may not be loaded
    │   ├── UnsafeFile           a private key that others can read, a store that is not ours
    │   └── MissingPackage       something that the operating system must provide
    ├── HolderError              who wrote or holds the assertion mends it (exit 2, HTTP 422)
    │   ├── MalformedAssertion   text that is not RFC 2704; has line, column and the mend
    │   ├── BadPrincipal         a key that cannot be decoded
    │   ├── WeakKey              a key or signature kind that the settings refuse
    │   └── BadSignature         a credential whose signature does not hold
    ├── PeerError                the remote party mends its request (exit 2, HTTP 400)
    │   ├── MalformedRequest     a request that contradicts the vocabulary or the protocol
    │   ├── BadQuery             a question that KeyNote cannot be asked
    │   └── TooLarge             more than a named limit allows
    └── Unavailable              nobody: try again (exit 3, HTTP 503)
        ├── BudgetExhausted      the work of one request was used up: *no answer*, never "denied"
        ├── InternalError        a mistake in this package: *no answer*, and its trace is in the log
        ├── BrokerUnavailable    the publish-subscribe service did not answer
        └── StoreUnavailable     the store cannot be read or written

Modules add what only they can raise below one of these::

    BadPolicy           clearing.policies   DeskAlone and what else keeps a policy from being loaded
    OperatorError       enforcers           ForeignTopic: a node that belongs to somebody else
                        ledger.book         NothingSigned: a log without a checkpoint
                        federation.image    BadImage: what no server module could enforce
                        runtime.federation  NoRoot, NoRevocations: what nothing can be published without
                        importing           BadList: a file that is not of the format as which it is read
    BadSettings         cli.output          Unwritable: nobody takes the answer
                        agent.shorthand     UnknownLevel: a level that the community does not have
    HolderError         clearing            HandedInApproval, NoApproval, NoDeskText: not what the desk signs, or not here
                        runtime.governing   BornRevoked, ByTheDesk: a credential that cannot be added
    MalformedRequest    clearing.facts      FactMissing
    PeerError           clearing.people     NotEntitled, NoSuchThing, NeedsSignature, OwnRequest, AlreadyApproved, WrongCase
                        clearing.cases      CaseClosed, Barred, StaysRevoked
                        clearing.dsse       MalformedEnvelope, WrongPayloadType, SignedTwice
                        clearing.envelope   WrongAudience, StaleEnvelope, EnvelopeNotYet, LivesTooLong, Replayed
                        runtime             Denied, Expired (why people's requests are refused), CannotLift, InFolder
                                            NoSuchTopic, BroaderEffect (why platforms' requests are refused)
                        runtime.federation  OldRecord, OldReport, DraftWaits: what came too late
                        runtime.redirection NotProven: a peer that has proven less than the door demands
                        ledger              BadEntry, BadCheckpoint, BadReceipt
                        federation.refusals DocumentRefused and, below it, each attack on published documents by its name;
                                            EndlessData, which is a TooLarge
                        federation          BadName; CeremonyIncomplete, NothingToSign, HandWritten, WrongCeremony
                        federation          CannotEnforce: a white-list request that no server could be told
                        agent               NoSuchGrant, NoSuchCase, LocallyDenied, OverrideRefused, NoSuchOverride
                                            NoSuchDocument, CannotReport (of a source)
                        signer.roles        SignerRefused
                        grid                StanzaRefused, CommandRefused
                        enforcers           NothingPending, TopicExists
                        enforcers.levels    SerialTaken, BadModuleAnswer: a server module that does not go along
    Unavailable         clearing            ClockBehind, Overtaken, RateLimited
                        runtime             NotNow, Crossed, NoDesk, NoReceipts, NotSignedYet
                        runtime.federation  TooManyDrafts, RelayFull
                        agent               StaleRecords, TooManyGrants, NobodyDecides, AgentUnreachable
                                            SourceUnavailable, StateUnavailable
                        signer.roles        SignerUnavailable
                        doors.control       NotRunning, Busy
                        doors.xmpp          TooManyQuestions, TooManyTalks
                        runtime.redirection StoreCutOff: a node that has not seen its store for too long
    StoreUnavailable    runtime.redirection NothingArchived, SpoolFull: what keeps a node from answering
    ClearinghouseError  doors.control       Told: an error of the service, with the code and exit status that it has there

``docs/reference/json.md`` says of each code what it means.

Messages are lower case, have no final period, put what the user wrote in backticks and
end with the mend.  ``code`` is stable and machine-readable; ``exit_code``,
``http_status`` and ``stanza_condition`` (RFC 6120, section 8.3.3) are the error's answer on
each wire.
"""

from __future__ import annotations

from typing import ClassVar


class ClearinghouseError(Exception):
    """Root of the tree; catching it catches everything that this package raises on purpose."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 500
    stanza_condition: ClassVar[str] = "internal-server-error"

    def __init__(self, message: str, *, mend: str = "") -> None:
        """Keep the fact (*message*) and what to do about it (*mend*) apart."""
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        """Return the fact, a colon, and the mend."""
        return f"{self.message}: {self.mend}" if self.mend else self.message

    def as_json(self) -> dict[str, object]:
        """Return the error as the ``error`` member of any JSON answer."""
        return {"code": self.code, "message": self.message, "mend": self.mend}


class OperatorError(ClearinghouseError):
    """Who runs the clearinghouse must act."""

    code = "operator"


class BadSettings(OperatorError):
    """A settings file or a command-line option is not usable."""

    code = "bad-settings"


class BadPolicy(OperatorError):
    """An assertion of the trusted channel breaks a rule of authority."""

    code = "bad-policy"


class UnsafeFile(OperatorError):
    """A file with a secret is readable by others, or a store belongs to somebody else."""

    code = "unsafe-file"


class MissingPackage(OperatorError):
    """The operating system lacks a package that the command needs."""

    code = "missing-package"


class HolderError(ClearinghouseError):
    """Who wrote or holds the assertion must act."""

    code = "holder"
    http_status = 422
    stanza_condition = "not-acceptable"


class MalformedAssertion(HolderError):
    """Text that is not an RFC 2704 assertion.

    ``line`` and ``column`` count from 1; ``column`` counts characters.  ``source`` is the line
    of text that holds the mistake (of a very long line, a part), ``caret`` the place of the
    mistake in it, from 1, and ``width`` how many characters are wrong.  When an assertion has
    several mistakes the others are in ``others``, in order of position.
    """

    code = "malformed"

    def __init__(
        self,
        message: str,
        *,
        mend: str = "",
        line: int = 1,
        column: int = 1,
        source: str = "",
        caret: int | None = None,
        width: int = 1,
        others: tuple[MalformedAssertion, ...] = (),
    ) -> None:
        """Describe one mistake at one place."""
        super().__init__(message, mend=mend)
        self.line = line
        self.column = column
        self.source = source
        self.caret = column if caret is None else caret
        self.width = width
        self.others = others

    def __str__(self) -> str:
        """Return ``line L, column C: message: mend`` on one line."""
        return f"line {self.line}, column {self.column}: {super().__str__()}"

    def picture(self) -> str:
        """Return the message, the line of text, and a caret under what is wrong."""
        head = f"line {self.line}, column {self.column}: {self.message}"
        rows = [head]
        if self.source:
            # Tabs keep their width under the caret when the padding repeats them.
            pad = "".join("\t" if c == "\t" else " " for c in self.source[: self.caret - 1])
            rows += [f"  {self.source}", f"  {pad}{'^' * max(1, self.width)}"]
        if self.mend:
            rows.append(f"  {self.mend}")
        return "\n".join(rows)

    def as_json(self) -> dict[str, object]:
        """Return code, message, mend and position."""
        return super().as_json() | {"line": self.line, "column": self.column, "source": self.source}


class BadPrincipal(HolderError):
    """A key identifier with a registered prefix whose bits cannot be decoded."""

    code = "bad-principal"


class WeakKey(HolderError):
    """A key or a signature kind that is refused unless the settings allow it."""

    code = "weak-key"


class BadSignature(HolderError):
    """A credential's signature does not hold for its authorizer."""

    code = "bad-signature"


class PeerError(ClearinghouseError):
    """The remote party must change its request."""

    code = "peer"
    http_status = 400
    stanza_condition = "bad-request"


class MalformedRequest(PeerError):
    """A request contradicts the vocabulary or the protocol that carried it."""

    code = "malformed-request"


class BadQuery(PeerError):
    """A KeyNote query without requesters, without values, or with reserved names."""

    code = "bad-query"


class TooLarge(PeerError):
    """Something is larger than a named limit allows."""

    code = "too-large"
    http_status = 413
    stanza_condition = "policy-violation"


class Unavailable(ClearinghouseError):
    """Nobody can mend this by changing the request; trying again later may help."""

    code = "unavailable"
    exit_code = 3
    http_status = 503
    stanza_condition = "resource-constraint"


class BudgetExhausted(Unavailable):
    """The work allowed for one request was used up; this is *no answer*, not a denial."""

    code = "budget-exhausted"


class InternalError(Unavailable):
    """A mistake in this package, met while it ruled on one request; this is *no answer*, not a denial."""

    code = "internal"


class BrokerUnavailable(Unavailable):
    """The publish-subscribe service did not answer in time."""

    code = "broker-unavailable"


class StoreUnavailable(Unavailable):
    """The store cannot be read or written now."""

    code = "store-unavailable"
