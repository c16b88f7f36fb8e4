"""A community in memory, with a clock that the test sets: the real desk, real keys, nothing mocked.

>>> sim = Community()
>>> _ = sim.policy(licenses="hub", where='topic == "incidents"', value="allow")
>>> _ = sim.delegate("hub", to="ann@a.example", until="20261201")
>>> sim.asks("ann@a.example").value
'allow'
>>> sim.sleep(days=12)
>>> sim.asks("ann@a.example").value
'deny'

A plain name such as `hub` is a key, made from the name; `ann@a.example` is a user, `a.example` a server.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from types import MappingProxyType

from clearinghouse.clearing.approvals import desk_text
from clearinghouse.clearing.clear import Desk, clear
from clearinghouse.clearing.consequences import consequences
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.enforcement import Enforcement
from clearinghouse.clearing.policies import check_policy
from clearinghouse.clearing.request import Place, Request, server, signers, user_of_server
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.vocabulary import NOBODY, OPERATIONS, Door
from clearinghouse.keynote import Admitted, Assertions, Limits, Proof, admit, split_assertions
from clearinghouse.keynote.clock import clock_attributes
from clearinghouse.keynote.keys import PrivateKey, from_seed
from clearinghouse.keynote.signing import sign

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BROKER, HUB, INCIDENTS = "pubsub.hub.example", "hub.example", "incidents"
IODEF = "urn:ietf:params:xml:ns:iodef-2.0"
NOTHING: Mapping[str, str] = MappingProxyType({})


@cache
def key(name: str) -> PrivateKey:
    """Return the key of *name*, always the same one."""
    return from_seed(hashlib.sha256(name.encode()).digest())


def who(name: str) -> str:
    """Return the principal that *name* stands for."""
    if ":" in name or name == "POLICY":
        return name
    return f"xmpp:{name}" if "." in name else key(name).principal


def requesters(name: str) -> tuple[str, ...]:
    """Return the principals with which *name* asks, as its door would vouch for them (rule R9)."""
    if name.startswith("unix:"):
        return (name,)
    if "@" in name:
        return user_of_server(name, name.partition("@")[2])
    return server(name) if "." in name else signers(tuple(who(each) for each in name.split("+")))


def licensees(written: str) -> str:
    """Return a Licensees field: one name, or an expression such as `2-of({ann}, {bob})`."""
    return re.sub(r"\{([^}]+)\}", lambda found: f'"{who(found[1])}"', written if "{" in written else f"{{{written}}}")


def assertion(by: str, to: str | None, where: str = "", value: str = "", until: str = "", comment: str = "") -> bytes:
    """Return the text of an unsigned assertion; *where* is one test, or whole clauses if it ends with `;`."""
    tests = " && ".join(each for each in (f"({where})" if where else "", f'date < "{until}"' if until else "") if each)
    arrow = f' -> "{value}"' if value else ""
    conditions = where if where.endswith(";") else f"{tests or 'true'}{arrow};" if tests or arrow else ""
    fields = (
        ("Comment", comment),
        ("Authorizer", f'"{who(by)}"'),
        ("Licensees", licensees(to) if to else ""),
        ("Conditions", conditions),
    )
    return "".join(f"{name}: {body}\n" for name, body in fields if body).encode()


@cache
def signed(by: str, to: str | None, where: str = "", *, value: str = "", until: str = "", comment: str = "") -> bytes:
    """Return the credential by the key of *by* that licenses *to*."""
    return sign(assertion(by, to, where, value, until, comment), key(by))


def plain(
    assertions: Iterable[bytes], asker: str | tuple[str, ...], action: Mapping[str, str], values: Sequence[str] = ("deny", "ask", "allow")
) -> Proof:
    """Return what KeyNote alone answers: the hole that a rule closes."""
    admitted = [admit(raw, policy=True) for raw in assertions]
    names = requesters(asker) if isinstance(asker, str) else asker
    return Assertions(policies=admitted).query(authorizers=names, action={**clock_attributes(NOON), **action}, values=values)


def finish(work: Coroutine[None, None, Decision]) -> Decision:
    """Return what *work* comes to: nothing in memory ever waits."""
    try:
        work.send(None)
    except StopIteration as done:
        decision: Decision = done.value
        return decision
    raise AssertionError("something waited")


# -- requests ------------------------------------------------------------------------------------------

AUDIT = {
    "XMPP_TLS_for_s2s": "required",
    "XMPP_SRTP_for_video": "required",
    "XMPP_Sanza_byte_size_limit": "25000",
    "Ingress_IP_Filtering": "enabled",
}
_CLAIMS: Mapping[str, Mapping[str, str]] = {
    "whitelist": {"App_domain": "XMPP", "domain": "a.example", "Server_IP_Address": "192.0.2.7"},
    "platforms": {"jid": "sensor@a.example", "domain": "a.example"},
    "people": {"subject": "ann@a.example", "topic": INCIDENTS, "case": "1"},
    "publish": {"table_community": "csirt-net", "audience": "a.example", "epoch": "1"},
}
_MORE_CLAIMS: Mapping[str, Mapping[str, str]] = {
    "register": {"platform_group": "sensors"},
    "query": {"provider": "logs@b.example", "service": "flows"},
    "bulk-download": {"provider": "logs@b.example", "service": "flows"},
    "publish-member": {"member": "b.example"},
    "publish-grant": {"member": "b.example"},
}
_SESSION = {
    "direction": "in",
    "auth_method": "external",
    "tls_version": "1.3",
    "tls_cipher": "TLS_AES_256_GCM_SHA384",
    "certificate_issuer": "CN=Net CA",
    "address": "192.0.2.7",
}
_LEVELS = {"from_level": "level-2", "to_level": "level-1"}
_ADMISSION = {"to_domain": "b.example", "level": "level-2", "direction": "in", "kind": "message"}
_DOORS = {"topics": Door.BROKER, "federate": Door.STREAM, "admit": Door.TABLE}


def request(name: str, operation: str = "subscribe", *, to: str = INCIDENTS, door: Door | None = None) -> Request:
    """Return a good request by *name*; *to* is the topic, or the server that is to be reached."""
    group = OPERATIONS[operation].group if operation in OPERATIONS else "topics"
    door = door or _DOORS.get(group, Door.ENVELOPE)
    asked = Request("request", operation, door, requesters(name))
    if door is Door.BROKER:
        return _at_broker(asked, name, to)
    if group == "federate":
        return _of_servers(asked, name, to if "." in to else "b.example")
    if group == "admit":
        return replace(asked, observed={"from_domain": name, **_ADMISSION})
    if operation == "override":
        return replace(asked, claims={"domain": "a.example", "to_domain": "b.example"})
    seen = {"vouched_by": HUB} if door is Door.CHAT else {}
    if operation == "enrol":
        return replace(asked, observed=seen, claims={"member": "b.example", "change": "add"})
    if operation == "join":
        known = {"change": "add", "domain_proven": "yes", "key_recorded": "no"}
        return replace(asked, known=known, claims={"member": "b.example"})
    return replace(asked, observed=seen, claims={**_CLAIMS.get(group, {}), **_MORE_CLAIMS.get(operation, {})})


def _of_servers(asked: Request, name: str, to: str) -> Request:
    match asked.door:
        case Door.TABLE:
            return replace(asked, observed={"from_domain": name, "to_domain": "*"})
        case Door.UNPROVEN:
            session = {each: value for each, value in _SESSION.items() if each != "certificate_issuer"} | {"auth_method": "none"}
            observed = {"claimed_from_domain": name, "to_domain": to, **session}
            return replace(asked, requesters=(NOBODY,), observed=observed, known={"to_level": _LEVELS["to_level"]})
        case _:
            return replace(asked, observed={"from_domain": name, "to_domain": to, **_SESSION}, known=_LEVELS)


def _at_broker(asked: Request, jid: str, topic: str) -> Request:
    observed = {"jid": jid, "domain": jid.rpartition("@")[2], "broker": BROKER, "vouched_by": HUB, "topic": topic}
    known = {"app_domain": "xmpp", "payload_type": IODEF, "access_model": "authorize"}
    return replace(asked, observed=observed, known=known, place=Place(BROKER, topic, jid))


# -- the world -----------------------------------------------------------------------------------------


@dataclass
class Journal:
    """A ledger and an enforcer that tell in what order things happened."""

    story: list[Decision | Enforcement] = field(default_factory=list)

    @property
    def highest_time(self) -> datetime | None:
        return max((each.at for each in self.story if isinstance(each, Decision)), default=None)

    async def record(self, decision: Decision) -> None:
        self.story.append(decision)

    async def carry_out(self, enforcement: Enforcement) -> None:
        self.story.append(enforcement)


class Community:
    """A desk with its policies and credentials, and a clock."""

    def __init__(self, now: datetime = NOON, *, levels: tuple[str, ...] = ("deny", "allow")) -> None:
        self.now = now
        self.journal = Journal()
        self.policies: dict[str, list[Admitted]] = {}
        self.credentials: list[Admitted] = []
        self.withdrawn: list[bytes] = []
        self.revoked: list[str] = []
        self.shared: list[str] = []
        self.below: list[str] = []
        self.desk_key = ""
        numbers = count(1)
        self.desk = Desk("csirt-net", Snapshot.of({}, ()), self.journal, self.journal, lambda: f"decision-{next(numbers)}", levels)
        self._outdated = False

    # -- what is believed

    def policy(
        self, licenses: str | None = "hub", where: str = "", value: str = "", *, operation: str = "subscribe", until: str = ""
    ) -> Admitted:
        """License somebody for an operation, in the group of policies where it belongs."""
        test = f'operation == "{operation}"' + (f" && ({where})" if where else "")
        return self.load(assertion("POLICY", licenses, test, value, until), OPERATIONS[operation].group)

    def load(self, raw: bytes, group: str = "topics") -> Admitted:
        """Load a policy as the runtime does: it must keep the rules."""
        admitted = admit(raw, policy=True)
        check_policy(admitted, group, desk=self.desk_key)
        self.policies.setdefault(group, []).append(admitted)
        self._outdated = True
        return admitted

    def load_folder(self, texts: Iterable[tuple[str, bytes]]) -> None:
        """Load files of policies; each comes with the name of its group."""
        for group, content in texts:
            for _, raw in split_assertions(content):
                self.load(raw, group)

    def delegate(self, by: str, to: str | None, where: str = "", value: str = "", until: str = "") -> Admitted:
        """Store a credential by the key of *by*."""
        return self.store(signed(by, to, where, value=value, until=until))

    def store(self, raw: bytes) -> Admitted:
        """Store a credential."""
        admitted = admit(raw)
        self.credentials.append(admitted)
        self._outdated = True
        return admitted

    def revoke(self, *names: str | Admitted) -> None:
        """Revoke principals and credentials (rule R15)."""
        self.withdrawn += [each.id for each in names if isinstance(each, Admitted)]
        self.revoked += [who(each) for each in names if isinstance(each, str)]
        self._outdated = True

    def revoke_below(self, *names: str) -> None:
        """Revoke all that these have delegated, or ever will (rule R15)."""
        self.below += map(who, names)
        self._outdated = True

    def appoint(self, name: str = "desk") -> None:
        """Let the key of *name* sign approvals."""
        self.desk_key = who(name)
        self._outdated = True

    def share(self, *names: str) -> None:
        """Allow principals in several groups, as the settings may."""
        self.shared += map(who, names)
        self._outdated = True

    # -- what happens

    def asks(
        self,
        name: str,
        operation: str = "subscribe",
        *,
        to: str = INCIDENTS,
        door: Door | None = None,
        requesters: tuple[str, ...] = (),
        observed: Mapping[str, str] = NOTHING,
        claims: Mapping[str, str] = NOTHING,
        known: Mapping[str, str] = NOTHING,
        without: Iterable[str] = (),
        credentials: Iterable[bytes] = (),
        approvals: Iterable[bytes] = (),
        validity: int | None = None,
        tied: Mapping[str, str] = NOTHING,
    ) -> Decision:
        """Rule on a good request by *name*, with other facts laid over its own, and those *without* taken away."""
        good = request(name, operation, to=to, door=door)
        tables = ({**good.observed, **observed}, {**good.claims, **claims}, {**good.known, **known})
        seen, said, ours = ({each: value for each, value in table.items() if each not in without} for table in tables)
        good = replace(good, requesters=requesters or good.requesters, observed=seen, claims=said, known=ours)
        return self.ask(replace(good, credentials=tuple(credentials), approvals=tuple(approvals), validity=validity, tied=tied))

    def ask(self, asked: Request) -> Decision:
        """Rule on *asked*: decide, record, carry out."""
        return finish(clear(asked, self.ready(), now=self.now))

    def approval(self, pending: Decision, *, by: str = "desk", days: float = 90) -> bytes:
        """Return what the desk signs when people have approved what *pending* left to them, for so many *days*."""
        case, _ = consequences(pending)
        assert case is not None
        text = desk_text(case, desk=who(by), until=self.now + timedelta(days=days), serial=f"approval-{pending.id}")
        return sign(text, key(by), limits=Limits.local())

    def ready(self) -> Desk:
        """Return the desk, with a snapshot of what is believed now."""
        if self._outdated:
            self._outdated = False
            self.desk.snapshot = Snapshot.of(
                self.policies,
                self.credentials,
                withdrawn=self.withdrawn,
                revoked=self.revoked,
                below=self.below,
                shared=self.shared,
                desk=self.desk_key,
            )
        return self.desk

    def sleep(self, **span: float) -> None:
        """Let time pass: ``days=1``."""
        self.now += timedelta(**span)
