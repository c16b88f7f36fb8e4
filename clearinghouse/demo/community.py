"""The example community in a directory of its own: its policies and credentials, one of them expired yesterday."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from clearinghouse.demo.keys import demonstration_key
from clearinghouse.demo.worlds import BROKER, COMPONENT
from clearinghouse.errors import BadSettings
from clearinghouse.grid.namespaces import IODEF
from clearinghouse.keynote.keys import write_key_file
from clearinghouse.keynote.signing import sign
from clearinghouse.settings import Settings, read_settings

ROOT: Final = Path(__file__).resolve().parents[2]
POLICIES: Final = ROOT / "policies" / "demo"
CREDENTIALS: Final = ROOT / "credentials" / "demo"

TOPIC: Final = "incidents"
PROVIDER: Final = "provider@hub.example"
OPERATOR: Final = "op@hub.example"
"""Who decides for the hub, from an ordinary client."""

DESK_KEY: Final = demonstration_key("Desk")
LOG_KEY: Final = demonstration_key("Log")

_FORMER: Final = """\
Comment: the users of former.example, members until yesterday
Local-Constants: Sector = "{sector}"
Authorizer: Sector
Licensees: "xmpp-member:former.example"
Conditions: operation == "subscribe" && topic == "incidents"
  && domain == "former.example" && date < "{today:%Y%m%d}";
"""

_SETTINGS: Final = """\
community = "csirt-net"

[desk]
key_file = "desk.key"

[ledger]
key_file = "log.key"

[control]
socket = ""

[[person]]
name = "operator"
jids = ["{operator}"]

[[broker]]
jid = "{broker}"
component = "{component}"
host = "{host}"
port = {port}
secret_file = "secret"

[[topic]]
node = "{topic}"
broker = "{broker}"
payload_type = "{payload_type}"
title = "Incidents of csirt-net"
publishers = ["{provider}"]
"""


@dataclass(frozen=True, slots=True)
class Community:
    """Everything that a clearinghouse of the example community reads, in *directory*; *secret* is its component's."""

    directory: Path
    secret: str = field(repr=False)

    def settings(self, host: str, port: int) -> Settings:
        """Write and read the settings, for a component that connects to *host* and *port*."""
        names = {"broker": BROKER, "component": COMPONENT, "topic": TOPIC, "payload_type": IODEF, "provider": PROVIDER}
        names["operator"] = OPERATOR
        path = self.directory / "clearinghouse.toml"
        path.write_text(_SETTINGS.format(**names, host=host, port=port))
        return read_settings(path)


@contextmanager
def example_community(today: date) -> Iterator[Community]:
    """Make the example community, in which a licence held until the day before *today*; it is gone at the end."""
    if not POLICIES.is_dir() or not CREDENTIALS.is_dir():
        raise BadSettings("the example community is not here", mend="run the demonstration in a checkout of the repository")
    with TemporaryDirectory(prefix="clearinghouse-demo-") as name:
        community = Community(Path(name), secrets.token_hex(32))
        for folder in POLICIES.iterdir():
            if folder.is_dir():
                _copy(folder, community.directory / "policies" / folder.name)
        _copy(CREDENTIALS, community.directory / "credentials")
        (community.directory / "credentials" / "former.kn").write_bytes(expired(today))
        for file, key in (("desk.key", DESK_KEY), ("log.key", LOG_KEY)):
            write_key_file(community.directory / file, key)
        secret = community.directory / "secret"
        secret.touch(mode=0o600)
        secret.write_text(community.secret)
        yield community


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in source.glob("*.kn"):
        shutil.copyfile(path, target / path.name)


def expired(today: date) -> bytes:
    """Return the licence of former.example, which held until the day before *today*."""
    sector = demonstration_key("Sector")
    return sign(_FORMER.format(sector=sector.principal, today=today).encode(), sector)
