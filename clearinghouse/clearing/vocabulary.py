"""Every action attribute: its name, type, meaning, who may set it, and which operation uses it.

One table for each operation, because the same word may be observed in one and claimed in another.
``docs/reference/attributes.md`` is made from it.  A KeyNote condition trusts every attribute that
it reads, so who may set one is the heart of the clearinghouse's security (authority rules R6 to R8).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from clearinghouse.errors import BadSettings, MalformedRequest
from clearinghouse.keynote import principals

EVERYTHING = "*"
"""The value of a dimension that an effect does not narrow; never implied by absence (rule R5)."""


class Origin(StrEnum):
    """Who sets an attribute (rule R6)."""

    OBSERVED = "observed"
    """The door measured it."""
    OURS = "ours"
    """The clearinghouse knows it: clock, settings, store."""
    PARAMETER = "parameter"
    """The requester asks for it; it narrows the effect, and the effect goes no further."""
    STATEMENT = "statement"
    """The requester says it about the world; it counts only where a credential binds it (rule R8)."""

    @property
    def reserved(self) -> bool:
        """Whether a requester that sets such an attribute makes the request malformed."""
        return self in {Origin.OBSERVED, Origin.OURS}


class Door(StrEnum):
    """Where a request comes in, and by that what can be observed about it (rule R11)."""

    BROKER = "broker"
    """A subscription form of a publish-subscribe service, or a platform's own request about a topic."""
    ENVELOPE = "envelope"
    """A signed request: its signers are the requesters."""
    TABLE = "table"
    """The builder of level tables, for a member's record."""
    STREAM = "stream"
    """A server-to-server stream whose peer is authenticated."""
    UNPROVEN = "unproven"
    """A server-to-server stream whose peer has proven nothing: its name is a claim (rule R11)."""
    OPERATOR = "operator"
    """The command line on the clearinghouse's own host: the kernel says which user is there."""
    CHAT = "chat"
    """A command in a chat client: the component's host says whose it is (rule R10)."""
    DESK = "desk"
    """Everybody who has approved one case, together (rule R3)."""


NOBODY = "unproven"
"""The one requester at the door for peers that have proven nothing: a policy admits them only by naming it (rule R11)."""


class Kind(StrEnum):
    """The form of an attribute's value; anything else makes the request malformed (rule R7)."""

    TEXT = "text"
    INTEGER = "integer"
    DOMAIN = "domain"
    DOMAINS = "domain or `*`"
    JID = "JID"
    DATE = "date"
    TIME = "time"
    YES_NO = "yes or no"
    DIGEST = "digest"


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*"
_FORMS: Mapping[Kind, re.Pattern[str]] = {
    Kind.TEXT: re.compile("[^\0\ud800-\udfff]*"),  # half a surrogate pair is no text, and has no bytes
    Kind.INTEGER: re.compile(r"0|-?[1-9][0-9]{0,9}"),
    Kind.DOMAIN: re.compile(_DOMAIN),
    Kind.DOMAINS: re.compile(rf"\*|{_DOMAIN}"),
    Kind.JID: re.compile(rf"(?:(?P<local>[^@/\"&'<>:\s]{{1,1023}})@)?{_DOMAIN}"),
    Kind.DATE: re.compile(r"[0-9]{8}"),
    Kind.TIME: re.compile(r"[0-9]{14}"),
    Kind.YES_NO: re.compile(r"yes|no"),
    Kind.DIGEST: re.compile(r"[0-9a-f]{64}"),
}
_INT_MAX = 2**31 - 1


def is_canonical(kind: Kind, value: str) -> bool:
    """Say whether *value* is written as its kind demands; integers fit KeyNote's 32 bits."""
    form = _FORMS[kind].fullmatch(value)
    if form is None:
        return False
    match kind:
        case Kind.INTEGER:
            return -_INT_MAX - 1 <= int(value) <= _INT_MAX
        case Kind.JID:
            return form["local"] != EVERYTHING and _is_folded(form["local"] or "")
        case _:
            return True


def _is_folded(local: str) -> bool:
    """Say whether a localpart is what RFC 7622, section 3.3, makes of it: nothing invisible, one form for each name."""
    return local.isprintable() and unicodedata.normalize("NFKC", local).lower() == local


def shown(text: str) -> str:
    """Return what a stranger wrote as text that is safe to print between backticks (rule R4)."""
    return principals.shown(text.encode("utf-8", "replace").decode("latin-1"))


def shown_whole(text: str) -> str:
    """Return all of what a stranger wrote, safe to print; letters beyond ASCII, which may look like others, are spelled out as well.

    Somebody who is to decide about it must see where it ends, so nothing is left out as `shown` does.
    """
    escaped = principals.shown(text.encode("utf-8", "replace").decode("latin-1"), max(1, len(text)))
    spelled = text.encode("unicode_escape").decode("ascii").replace("`", "\\x60")
    return escaped if text.isascii() else f"{escaped} (spelled {spelled})"


def domain_of(jid: str) -> str:
    """Return the domain of a bare JID."""
    return jid.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row: an attribute as one operation uses it.

    ``default`` is what an absent parameter means; an absent statement is the empty string, which
    an audit credential pins (rule R8).  ``doors`` are the doors that can supply it.  ``audit`` marks
    the statements of which one audit says all that is relied upon.
    """

    name: str
    kind: Kind
    origin: Origin
    meaning: str
    doors: frozenset[Door]
    default: str | None = None
    audit: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """A question that may be asked: its group of policies, values, attributes and effect.

    ``values`` is ``None`` where the community names the levels.  ``effect`` are the dimensions that
    the answer's effect has, each at the doors that know it: it must have been read by the proof (rule R5)
    unless it is in ``by_requester``, where the requester's own principal ties it.
    """

    name: str
    group: str
    values: tuple[str, ...] | None
    attributes: Mapping[str, Attribute]
    effect: tuple[str, ...]
    by_requester: frozenset[str]

    def doors(self) -> frozenset[Door]:
        """Return the doors that know what the operation is about, and so may ask it."""
        return frozenset(door for attribute in self.attributes.values() if attribute.name not in COMMON for door in attribute.doors)

    def effect_at(self, door: Door) -> Iterator[str]:
        """Yield the dimensions of the effect of what is asked at *door*."""
        return (name for name in self.effect if door in self.attributes[name].doors)

    def reserved_like(self, name: str) -> str | None:
        """Return the reserved attribute that *name* is, or resembles but for case and underscores."""
        folded = _fold(name)
        return next((each.name for each in self.attributes.values() if each.origin.reserved and _fold(each.name) == folded), None)


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


_ALL = frozenset(Door)
_BROKER = frozenset({Door.BROKER})
_ENVELOPE = frozenset({Door.ENVELOPE})
_STREAM = frozenset({Door.STREAM})
_UNPROVEN = frozenset({Door.UNPROVEN})
_LIVE = _STREAM | _UNPROVEN
_SERVERS = _STREAM | {Door.TABLE}
_SURE = frozenset({Door.ENVELOPE, Door.OPERATOR})
"""Where more than a JID's word is known of a person (rule R10)."""
_CHAT = frozenset({Door.CHAT})
_PEOPLE = _SURE | _CHAT
_APPROVERS = _PEOPLE | {Door.DESK}
ASK = "ask"
"""The value that leaves a request to a person."""
LOWEST = "deny"
"""The value of a request that could not even be asked; every operation's weakest value has this name."""
_DECISION = (LOWEST, ASK, "allow")
_YES_NO = (LOWEST, "allow")


def _observed(doors: frozenset[Door]) -> Callable[[str, Kind, str], Attribute]:
    return lambda name, kind, meaning: Attribute(name, kind, Origin.OBSERVED, meaning, doors)


def _ours(name: str, kind: Kind, meaning: str, doors: frozenset[Door] = _ALL) -> Attribute:
    return Attribute(name, kind, Origin.OURS, meaning, doors)


def _parameter(name: str, kind: Kind, meaning: str, doors: frozenset[Door] = _ENVELOPE) -> Attribute:
    return Attribute(name, kind, Origin.PARAMETER, meaning, doors, default=EVERYTHING)


def _statement(name: str, meaning: str, *, audit: bool = False) -> Attribute:
    return Attribute(name, Kind.TEXT, Origin.STATEMENT, meaning, _ENVELOPE, default="", audit=audit)


def _audited(name: str, meaning: str) -> Attribute:
    return _statement(name, f"audit: {meaning}", audit=True)


_COMMON = (
    _ours("operation", Kind.TEXT, "the question that is asked, such as `subscribe`"),
    _ours("community", Kind.TEXT, "the community's name from the settings"),
    _ours("date", Kind.DATE, 'the day, `YYYYMMDD` in UTC; compare it as text: `date < "20270101"`'),
    _ours("time", Kind.TIME, "the second, `YYYYMMDDhhmmss` in UTC; compare it as text"),
    _ours("ValidityPeriod", Kind.INTEGER, "seconds that the grant is asked for; it ends then at the latest"),
)
COMMON = frozenset(each.name for each in _COMMON)
"""Attributes that every operation has at every door, because the clearinghouse sets them itself."""

_at_broker = _observed(_BROKER)
_TOPIC = (
    _ours("app_domain", Kind.TEXT, "always `xmpp`", _BROKER),
    _at_broker("jid", Kind.JID, "bare JID of the platform that asks"),
    _at_broker("domain", Kind.DOMAIN, "domain of the platform that asks"),
    _at_broker("broker", Kind.JID, "JID of the publish-subscribe service"),
    _at_broker("vouched_by", Kind.DOMAIN, "the host whose word the requester's name rests on (rule R10)"),
    _at_broker("topic", Kind.TEXT, "name of the topic's node"),
    _ours("payload_type", Kind.TEXT, "XML namespace of the topic's items, as it is configured, or will be", _BROKER),
    _ours("access_model", Kind.TEXT, "the topic's access model, such as `authorize`", _BROKER),
)

_live = _observed(_LIVE)
_FEDERATION = (
    _observed(_SERVERS)("from_domain", Kind.DOMAIN, "the server that asks, proven"),
    _observed(_UNPROVEN)("claimed_from_domain", Kind.DOMAIN, "the server that says it asks, and has proven nothing"),
    _observed(_SERVERS | _UNPROVEN)("to_domain", Kind.DOMAINS, "the server that it wants to reach; `*` in the community's table"),
    _live("direction", Kind.TEXT, "`in` or `out`, seen from the server that enforces"),
    _live("auth_method", Kind.TEXT, "`external`, `dialback`, or `none` at the door for unproven peers"),
    _live("tls_version", Kind.TEXT, "such as `1.3`; `none` without TLS"),
    _live("tls_cipher", Kind.TEXT, "the cipher suite, such as `TLS_AES_256_GCM_SHA384`; `none` without TLS"),
    _observed(_STREAM)("certificate_issuer", Kind.TEXT, "who issued the peer's certificate (RFC 4514); `none` without a certificate"),
    _live("address", Kind.TEXT, "IP address of the peer"),
    _ours("from_level", Kind.TEXT, "level of `from_domain` in the community's published table; the lowest where it has none", _STREAM),
    _ours("to_level", Kind.TEXT, "level of `to_domain` in the community's published table; the lowest where it has none", _LIVE),
)

_ADMISSION = tuple(
    _observed(frozenset({Door.TABLE}))(*row)
    for row in (
        ("from_domain", Kind.DOMAIN, "the other server, as the table names it"),
        ("to_domain", Kind.DOMAIN, "the server that the agent stands beside"),
        ("level", Kind.TEXT, "the level that the community's signed table gives to the other server"),
        ("direction", Kind.TEXT, "`in` or `out`, seen from the agent's server"),
        ("kind", Kind.TEXT, "`message`, `presence`, `iq` or `groupchat`"),
    )
)

_PAPER = (
    _parameter("App_domain", Kind.TEXT, "application: `XMPP`, `ERP`"),
    _parameter("domain", Kind.DOMAIN, "domain that is to be admitted"),
    _parameter("Server_IP_Address", Kind.TEXT, "address that is to be admitted"),
    _parameter("Username", Kind.TEXT, "the one user whose packets may pass"),
    _parameter("PacketType", Kind.TEXT, "`message`, `presence`, `iq` or `groupchat`"),
    _parameter("direction", Kind.TEXT, "`in` or `out`, seen from the target"),
    Attribute("member", Kind.YES_NO, Origin.OURS, "`yes` where a current record by the registrar names `domain`", _ENVELOPE, default="no"),
    _statement("role", "kind of business agreement: `b2b`, `c2b`"),
    _audited("XMPP_TLS_for_s2s", "`required` where TLS is"),
    _audited("XMPP_SRTP_for_video", "`required` where SRTP is"),
    _audited("XMPP_Sanza_byte_size_limit", "bytes of the largest stanza, decimal; the name is spelled as published"),
    _audited("XMPP_Multi_User_Chat", "`disabled` where it is"),
    _audited("Firewall_Packet_Filtering", "`enabled` where it is"),
    _audited("XMPP_Publish_Suscribe_Service", "`disabled` where it is; spelled as published"),
    _audited("Ingress_IP_Filtering", "`enabled` where it is"),
    _audited("Third_Party_DOS_Mitigation_OK", "`true` where it is"),
)

_REGISTRATION = (
    _parameter("jid", Kind.JID, "platform that is to be registered"),
    _parameter("domain", Kind.DOMAIN, "domain of that platform"),
    _parameter("platform_group", Kind.TEXT, "group that it is to join"),
)
_BETWEEN = (
    *_REGISTRATION[:2],
    _parameter("provider", Kind.JID, "platform that holds the data"),
    _parameter("service", Kind.TEXT, "service that is asked"),
)
_CREATION = (*_TOPIC, _parameter("title", Kind.TEXT, "what people read as the topic's name", _BROKER))


def _case(doors: frozenset[Door]) -> tuple[Attribute, ...]:
    return (
        _parameter("subject", Kind.JID, "whom the case or grant is about", doors),
        _parameter("topic", Kind.TEXT, "topic of the case or grant", doors),
        _parameter("case", Kind.TEXT, "id of the case, grant, credential or key that is acted on", doors),
        _parameter("asked", Kind.TEXT, "operation of the case or grant, such as `subscribe`", doors),
        _parameter("broker", Kind.JID, "publish-subscribe service of the topic", doors),
        *(_observed(_CHAT)("vouched_by", Kind.DOMAIN, "the host whose word the person's name rests on (rule R10)") for _ in doors & _CHAT),
    )


_OVERRIDE = (
    _parameter("domain", Kind.DOMAIN, "the other server that is to be admitted for a time"),
    _parameter("to_domain", Kind.DOMAIN, "the server that is to admit it"),
)

_ENROLMENT = (
    *_case(_PEOPLE),  # `*` all: what is written for the other operations of the group can still be loaded, and grants nothing here
    _parameter("member", Kind.DOMAIN, "domain whose record is to be signed", _PEOPLE),
    _parameter("change", Kind.TEXT, "what happens to the record: `add`, `contact`, `address`, `keys` or `remove`", _PEOPLE),
)

_JOINING = (
    _parameter("member", Kind.DOMAIN, "domain that is to become a member, or whose record is to change"),
    _ours("change", Kind.TEXT, "what happens to the record: `add`, `contact`, `address`, `keys` or `remove`", _ENVELOPE),
    _ours("domain_proven", Kind.YES_NO, "whether the domain itself has handed the request in, over XMPP", _ENVELOPE),
    _ours("key_recorded", Kind.YES_NO, "whether a key that signed stands in the domain's record of today", _ENVELOPE),
)

_TABLE = (
    _parameter("table_community", Kind.TEXT, "community that the document is for"),
    _parameter("audience", Kind.DOMAIN, "server that the document is for"),
    _parameter("epoch", Kind.INTEGER, "epoch of the community's keys"),
)
_ABOUT_MEMBER = (*_TABLE, _parameter("member", Kind.DOMAIN, "domain that the document is about"))


def _operation(
    name: str,
    group: str,
    values: tuple[str, ...] | None,
    attributes: tuple[Attribute, ...],
    effect: tuple[str, ...],
    by_requester: tuple[str, ...] = (),
) -> Operation:
    return Operation(name, group, values, {each.name: each for each in (*_COMMON, *attributes)}, effect, frozenset(by_requester))


_WHITELIST_EFFECT = ("App_domain", "domain", "Server_IP_Address")
PACKET_RULE = ("Username", "PacketType", "direction")
"""Dimensions that a white-list request has only if it asks for a packet rule, by setting one of them."""

OPERATIONS: Mapping[str, Operation] = {
    each.name: each
    for each in (
        # What an unproven peer only says of itself is tied by no requester: the proof has to read it.
        _operation("federate", "federate", None, _FEDERATION, ("from_domain", "claimed_from_domain"), ("from_domain",)),
        # The community's table says at which level; each server says itself whom it admits, for each kind of stanza.
        _operation("admit", "admit", _YES_NO, _ADMISSION, ("from_domain",), ("from_domain",)),
        _operation("whitelist", "whitelist", _DECISION, _PAPER, _WHITELIST_EFFECT),
        _operation("create", "topics", _DECISION, _CREATION, ("jid", "topic"), ("jid",)),
        *(
            _operation(name, "topics", _DECISION, _TOPIC, ("jid", "topic"), ("jid",))
            for name in ("publish", "subscribe", "retrieve", "discover")
        ),
        _operation("register", "platforms", _DECISION, _REGISTRATION, ("jid", "platform_group")),
        *(_operation(name, "platforms", _DECISION, _BETWEEN, ("jid", "provider", "service")) for name in ("query", "bulk-download")),
        # Which case it is follows from whom and what it is about; a policy may name one case all the same.
        _operation("approve", "people", _YES_NO, _case(_APPROVERS), ("subject", "topic")),
        *(_operation(name, "people", _YES_NO, _case(_PEOPLE), ("subject", "topic")) for name in ("revoke", "explain")),
        # Whoever adds one credential can grant whatever policy leaves to its author: there is nothing narrower to name.
        _operation("administer", "people", _YES_NO, _case(_SURE), ()),
        # Whoever enrols ties keys to a name that policy may know: the name is what policy has to read.
        _operation("enrol", "people", _YES_NO, _ENROLMENT, ("member",)),
        _operation("join", "members", _DECISION, _JOINING, ("member",)),
        # For an emergency of which nobody knows the name: a site's key may name any domain, and policy may narrow it.
        _operation("override", "override", _YES_NO, _OVERRIDE, ()),
        # Of root metadata the epoch is free: the next generation may begin a new one.
        _operation("publish-root", "publish", _YES_NO, _TABLE, ("table_community",)),
        *(
            _operation(name, "publish", _YES_NO, _TABLE, ("table_community", "audience", "epoch"))
            for name in ("publish-table", "publish-timestamp")
        ),
        _operation("publish-revocations", "publish", _YES_NO, _TABLE, ("table_community", "epoch")),
        *(
            _operation(name, "publish", _YES_NO, _ABOUT_MEMBER, ("table_community", "member", "epoch"))
            for name in ("publish-member", "publish-grant")
        ),
    )
}
GROUPS = tuple(dict.fromkeys(each.group for each in OPERATIONS.values()))
SENSITIVE = frozenset({"people", "publish", "override"})
"""Groups whose keys no other group may license, unless the settings name the key (rule R1)."""


def operation_named(name: str) -> Operation:
    """Return an operation; an unknown one makes the request malformed."""
    found = OPERATIONS.get(name)
    if found is None:
        raise MalformedRequest(f"`{shown(name)}` is not an operation", mend=f"ask one of {', '.join(OPERATIONS)}")
    return found


def lowest_of(name: str, levels: tuple[str, ...] = (LOWEST,)) -> str:
    """Return the weakest value of the operation *name*, also of one that there is not; *levels* are those of `federate`."""
    found = OPERATIONS.get(name)
    return LOWEST if found is None else (found.values or levels)[0]


def operations_of(group: str) -> tuple[Operation, ...]:
    """Return the operations whose policies lie in the folder *group*."""
    found = tuple(each for each in OPERATIONS.values() if each.group == group)
    if not found:
        raise BadSettings(f"`{group}` is not a group of operations", mend=f"the groups are {', '.join(GROUPS)}")
    return found


def rows() -> Iterator[tuple[Operation, Attribute]]:
    """Yield every row of the vocabulary, for the reference page."""
    return ((operation, attribute) for operation in OPERATIONS.values() for attribute in operation.attributes.values())
