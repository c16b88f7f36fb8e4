"""What ``init`` does, apart from its options: the files of a new clearinghouse, from templates."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from clearinghouse.clearing.vocabulary import GROUPS
from clearinghouse.cli.output import DIM, STRONG, as_json, clean, say
from clearinghouse.errors import BadSettings
from clearinghouse.keynote.keys import PrivateKey, generate, write_key_file
from clearinghouse.keynote.signing import sign, with_serial
from clearinghouse.runtime.chance import utc_now
from clearinghouse.settings import read_settings

SECRET_BYTES: Final = 32
"""Random bytes of a component's secret."""

OPEN, PRIVATE = 0o644, 0o600

MEANINGS: Final = {
    "clearinghouse.toml": "the settings",
    "credentials/members.kn": "the hub licenses your users to ask",
    "drafts/approval.kn": "an approval, not signed yet",
    "ejabberd.yml": "what your ejabberd needs to know",
    "keys/desk.key": "approves; keep it private",
    "keys/hub.key": "licenses; keep it private",
    "policies/topics/incidents.kn": "who may subscribe to `incidents`",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the templates are filled with: names that were checked, and keys that were made."""

    community: str
    brokers: tuple[str, ...]
    hub: PrivateKey
    desk: PrivateKey
    now: datetime

    @property
    def domain(self) -> str:
        """The domain that hosts the first broker: its users are the first members."""
        return _parent(self.brokers[0])

    def values(self) -> dict[str, str]:
        """Return what stands behind each ``$name`` of the templates."""
        return {
            "community": self.community,
            "broker": self.brokers[0],
            "component": component_of(self.brokers[0]),
            "domain": self.domain,
            "hub": self.hub.principal,
            "desk": self.desk.principal,
            "year_on": f"{self.now + timedelta(days=365):%Y%m%d}",
            "quarter_on": f"{self.now + timedelta(days=90):%Y%m%d}",
        }


def found(directory: Path, community: str, brokers: Sequence[str], *, json: bool) -> None:
    """Write a clearinghouse into *directory*, and tell the next three commands."""
    _check_empty(directory)
    plan = Plan(community, tuple(dict.fromkeys(brokers)), generate(), generate(), utc_now())
    written = [*_write(directory, plan), *_write_keys(directory, plan)]
    read_settings(directory / "clearinghouse.toml")
    commands = next_commands(directory)
    if json:
        as_json("init", ok=True, files=[str(each) for each in sorted(written)], commands=[command for _, command in commands])
    else:
        _tell(directory, written, commands)


def component_of(broker: str) -> str:
    """Return the address that the clearinghouse takes beside *broker*."""
    return f"clearinghouse.{_parent(broker)}"


def _parent(domain: str) -> str:
    return domain.partition(".")[2] or domain


def _check_empty(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise BadSettings(f"`{clean(str(directory))}` is no directory", mend="name a new one")
    if directory.is_dir() and any(directory.iterdir()):
        raise BadSettings(f"`{clean(str(directory))}` is not empty", mend="name a new directory: nothing is overwritten")


# -- files --------------------------------------------------------------------------------------------


def _write(directory: Path, plan: Plan) -> Iterator[Path]:
    """Write everything but the keys, settings first: a name that cannot be used leaves nothing else behind."""
    for group in GROUPS:
        (directory / "policies" / group).mkdir(parents=True, mode=0o755)
    for name, content, mode in _contents(directory, plan):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if mode == PRIVATE else 0o755)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask says
            file.write(content)
        yield path


def _contents(directory: Path, plan: Plan) -> Iterator[tuple[str, bytes, int]]:
    values = plan.values()
    yield "clearinghouse.toml", _filled("clearinghouse.toml", **values, brokers=_brokers(plan)), OPEN
    words = {component: secrets.token_hex(SECRET_BYTES) for component in map(component_of, plan.brokers)}
    for component, word in words.items():
        yield f"secrets/{component}", f"{word}\n".encode(), PRIVATE
    path = (directory / "ejabberd.yml").resolve()
    yield "ejabberd.yml", _filled("ejabberd.yml", **values, secret=words[values["component"]], path=str(path)), PRIVATE
    yield "policies/topics/incidents.kn", _filled("incidents.kn", **values), OPEN
    serial = secrets.token_hex(16)
    yield "credentials/members.kn", sign(with_serial(_filled("members.kn", **values), serial), plan.hub), OPEN
    yield "drafts/approval.kn", _filled("approval.kn", **values), OPEN


def _brokers(plan: Plan) -> str:
    found = ((broker, component_of(broker)) for broker in plan.brokers)
    return "".join(
        _filled("broker.toml", broker=broker, component=component, secret_file=f"secrets/{component}").decode()
        for broker, component in found
    )


def _filled(template: str, **values: str) -> bytes:
    text = files("clearinghouse.cli").joinpath("templates", template).read_text(encoding="utf-8")
    return Template(text).substitute(values).encode()


def _write_keys(directory: Path, plan: Plan) -> Iterator[Path]:
    (directory / "keys").mkdir(mode=0o700)
    for name, key in (("hub.key", plan.hub), ("desk.key", plan.desk)):
        path = directory / "keys" / name
        write_key_file(path, key)
        yield path


# -- what to do next ----------------------------------------------------------------------------------


def next_commands(directory: Path) -> tuple[tuple[str, str], ...]:
    """Return the next three things to do, each with its command."""
    at = {
        name: shlex.quote(str(directory / name))
        for name in ("clearinghouse.toml", "keys/desk.key", "drafts/approval.kn", "credentials/approval.kn")
    }
    serve = f"clearinghouse serve --config {at['clearinghouse.toml']}"
    approve = f"clearinghouse sign --key {at['keys/desk.key']} {at['drafts/approval.kn']} > {at['credentials/approval.kn']}"
    return (
        ("see what it would load", f"{serve} --check"),
        ("run it, once your ejabberd knows what is in ejabberd.yml", serve),
        ("approve your own users, who until then wait for you", approve),
    )


def _tell(directory: Path, written: Sequence[Path], commands: Sequence[tuple[str, str]]) -> None:
    say((f"a clearinghouse in {clean(str(directory))}", STRONG))
    for path in sorted(written):
        name = str(path.relative_to(directory))
        say(f"{clean(name):<32}", (MEANINGS.get(name, "a component's secret"), DIM), indent=2)
    for number, (what, command) in enumerate(commands, start=1):
        say("")
        say(f"{number}. {what}:")
        say((f"   {command}", STRONG))
