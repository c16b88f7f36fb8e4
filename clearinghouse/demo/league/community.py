"""Three domains and their clearinghouse in a directory of its own: keys, root, policies, credentials and settings."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

from clearinghouse.demo.neighbours import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE
from clearinghouse.federation.published.documents import digest
from clearinghouse.federation.published.roots import Root, seal_root
from clearinghouse.federation.published.roots import written as written_root
from clearinghouse.federation.roles import ceremonies
from clearinghouse.federation.roles.ceremonies import Keyholders, Plan
from clearinghouse.keynote.keys import PrivateKey, generate, write_key_file
from clearinghouse.keynote.signing import sign
from clearinghouse.settings import Settings, read_settings
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.reading import read_agent_settings

NAME: Final = "league"
LEVELS: Final = ("deny", "level-1", "level-2", "level-3")

NORTH, SOUTH, EAST = "north.fed", "south.fed", "east.fed"
MEMBERS: Final[Mapping[str, tuple[str, str]]] = {
    NORTH: ("prosody", "level-3"),
    SOUTH: ("prosody", "level-2"),
    EAST: ("ejabberd", "level-2"),
}
"""Each domain: its server, and the level that its sponsor vouches for."""

MINIMUM: Final = "level-2"
"""From which level up each of the three lets others in: each site says so for itself."""

ANN, BEN, EVE, MAL = f"ann@{NORTH}", f"ben@{SOUTH}", f"eve@{EAST}", f"mal@{EAST}"
PEOPLE: Final = (ANN, BEN, EVE, MAL)

DOOR: Final = "door.league.fed"
"""What the clearinghouse's door calls itself; it proves this name, and no member's."""

OPERATOR: Final = "operator"
"""Who runs the clearinghouse, as a user of its machine."""

ROOTS: Final = ("root-1", "root-2", "root-3")
ROLES: Final = ("table", "timestamp", "revoker", "registrar")

PERIOD: Final = timedelta(minutes=1)
"""For how long an agent asks to have one of its users let in."""

_POLICIES: Final[Mapping[str, str]] = {
    "hub/policies/federate/levels.kn": """\
Comment: whom the sponsor vouches for has the level that the sponsor says
Authorizer: "POLICY"
Licensees: "{sponsor}"
Conditions: operation == "federate" -> "level-3";
""",
    "hub/policies/people/operator.kn": """\
Comment: the operator enrols members, and revokes what no longer holds
Authorizer: "POLICY"
Licensees: "unix:{operator}"
Conditions: operation == "enrol" && member ~= "^[a-z]+[.]fed$" && change == "add" -> "allow";
  operation == "administer" -> "allow";
  operation ~= "^(revoke|explain)$" && subject ~= "^[^ ]*$" && topic ~= "^[^ ]*$" -> "allow";
""",
    "south.fed/policies/whitelist/target.kn": """\
Comment: south's administrator decides who else is let in, for minutes
Authorizer: "POLICY"
Licensees: "{south-administrator}"
Conditions: operation == "whitelist" && App_domain == "XMPP" -> "allow";
""",
}

_CREDENTIALS: Final[Mapping[str, tuple[str, str]]] = {
    **{
        f"hub/credentials/{domain}.kn": (
            "sponsor",
            f"""\
Comment: the sponsor vouches for {domain}
Authorizer: "{{sponsor}}"
Licensees: "xmpp:{domain}"
Conditions: operation == "federate" && from_domain == "{domain}" && date < "{{end}}" -> "{level}";
""",
        )
        for domain, (_, level) in MEMBERS.items()
    },
    "east.fed/show/1-administrator.kn": (
        "south-administrator",
        """\
Comment: south's administrator trusts east's with who of east may write
Authorizer: "{south-administrator}"
Licensees: "{east-administrator}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "east.fed"
  && Server_IP_Address == "{east-address}" && date < "{end}";
""",
    ),
    "east.fed/show/2-eve.kn": (
        "east-administrator",
        """\
Comment: east's agent may ask for eve, and for nobody else
Authorizer: "{east-administrator}"
Licensees: "{east.fed}"
Conditions: operation == "whitelist" && App_domain == "XMPP" && domain == "east.fed"
  && Server_IP_Address == "{east-address}" && Username == "eve@east.fed" && PacketType == "message";
""",
    ),
}

_HUB: Final = """\
community = "{name}"
levels = [{levels}]

[federation]
root_directory = "root"
timestamp_period = "1 minute"
timestamp_lifetime = "3 minutes"
table_lifetime = "1 hour"

[registrar]
key_file = "registrar.key"

[[table_signer]]
key_file = "table.key"

[timestamp_signer]
key_file = "timestamp.key"

[revoker]
key_file = "revoker.key"

[http]
host = "localhost"
port = 0
certificate_file = "server.pem"
key_file = "server.key"

[redirect]
name = "{door}"
listen = ["{place}"]
certificate_file = "door/server.pem"
key_file = "door/server.key"
anchors_file = "authority.pem"
"""

_AGENT: Final = """\
community = "{name}"
domain = "{domain}"
audience = "community"
root_digest = "{pin}"
key_file = "agent.key"
ask = true
poll = "5 seconds"

[server]
kind = "{kind}"
component = "agent.{domain}"
secret_file = "secret"
host = "{address}"

[admit]
minimum = "{minimum}"

[[source]]
kind = "https"
url = "{url}"
ca = "authority.pem"

[requests]
listen = "localhost:{door}"
certificate_file = "server.pem"
private_key_file = "server.key"
ca_file = "authority.pem"
period = "{seconds} seconds"
"""


@dataclass
class League:
    """Everything that is written down, in *directory*.

    *addresses* are those of the servers, *secret* is their components'; *doors* are the ports at which agents are asked,
    *place* is the address and the port at which servers are.
    """

    directory: Path
    addresses: Mapping[str, str]
    now: datetime
    keys: dict[str, PrivateKey] = field(default_factory=dict, repr=False)
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    doors: dict[str, int] = field(default_factory=dict)
    place: str = ""

    def key(self, name: str) -> PrivateKey:
        """Return the key of this name, made when it is first needed: nobody else has it, and it ends with us."""
        return self.keys.setdefault(name, generate())

    @property
    def pin(self) -> str:
        """What each agent is given by hand: the digest of the first root metadata."""
        return digest(written_root(self.root))

    def write(self) -> None:
        """Write everything but what the agents are told, which comes with `agent`."""
        for name, text in _POLICIES.items():
            self._put(name, self._filled(text).encode())
        for name, (author, text) in _CREDENTIALS.items():
            self._put(name, sign(self._filled(text).encode(), self.key(author)))
        for role in ROLES:
            write_key_file(self.directory / "hub" / f"{role}.key", self.key(role))
        self._put("hub/root/1.json", seal_root(self.root, [self.key(name) for name in ROOTS[:2]]))

    def hub(self) -> Settings:
        """Return the settings of the clearinghouse."""
        levels = ", ".join(f'"{each}"' for each in LEVELS)
        self._put("hub/clearinghouse.toml", _HUB.format(name=NAME, levels=levels, door=DOOR, place=self.place).encode())
        return read_settings(self.directory / "hub" / "clearinghouse.toml")

    def agent(self, domain: str, url: str) -> AgentSettings:
        """Return the settings of the agent of *domain*; the clearinghouse is at *url*."""
        for folder in ("policies", "credentials", "show"):
            (self.directory / domain / folder).mkdir(parents=True, exist_ok=True)
        write_key_file(self.directory / domain / "agent.key", self.key(domain))
        self._put(f"{domain}/secret", self.secret.encode())
        kind, seconds = MEMBERS[domain][0], int(PERIOD.total_seconds())
        names = {"domain": domain, "kind": kind, "address": self.addresses[domain], "url": url, "pin": self.pin}
        text = _AGENT.format(name=NAME, minimum=MINIMUM, door=self.doors[domain], seconds=seconds, **names)
        self._put(f"{domain}/agent.toml", text.encode())
        return read_agent_settings(self.directory / domain / "agent.toml")

    def identity(self, place: str, authority: bytes, certificate: bytes, key: bytes) -> None:
        """Write what *place* proves itself with over HTTPS, and whom it believes."""
        for name, content in ((AUTHORITY_FILE, authority), (CERTIFICATE_FILE, certificate), (KEY_FILE, key)):
            self._put(f"{place}/{name}", content)

    @cached_property
    def root(self) -> Root:
        """The root metadata that two of three roots vouch for, each with its own key."""
        roles = {name: Keyholders((self.key(name).principal,)) for name in ROLES}
        holders = Keyholders(tuple(self.key(name).principal for name in ROOTS), 2)
        plan = Plan(NAME, 1, 1, self.now, self.now + timedelta(days=2), holders, roles)
        draft = ceremonies.drafted(plan, lambda: secrets.token_hex(16))
        for name in ROOTS[:2]:
            draft = ceremonies.vouched(draft, self.key(name))
        return ceremonies.finished(draft)

    def _filled(self, text: str) -> str:
        names = ("sponsor", "south-administrator", "east-administrator", *MEMBERS)
        filled = text
        for name in names:
            filled = filled.replace("{" + name + "}", self.key(name).principal)
        others = {"operator": OPERATOR, "end": f"{self.now + timedelta(days=2):%Y%m%d}", "east-address": self.addresses[EAST]}
        for name, value in others.items():
            filled = filled.replace("{" + name + "}", value)
        return filled

    def _put(self, name: str, content: bytes) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)
