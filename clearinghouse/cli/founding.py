"""What ``init`` does, apart from its options: the files of a new clearinghouse, from templates."""

from __future__ import annotations

import os
import pwd
import re
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
from clearinghouse.settings.reading import parse_settings

SECRET_BYTES: Final = 32
"""Random bytes of a component's secret."""

OPEN, PRIVATE = 0o644, 0o600

KEEPER: Final = "keeper"
"""Who decides, where the user who runs us has no name that settings can say."""

_is_name = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}").fullmatch
_is_user = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}").fullmatch

MEANINGS: Final = {
    "clearinghouse.toml": "the settings",
    "credentials/members.kn": "the hub licenses your users to ask",
    "drafts/approval.kn": "approves a whole domain, not signed yet",
    "ejabberd.yml": "what your ejabberd needs to know",
    "keys/desk.key": "signs what you approve; keep it private",
    "keys/hub.key": "licenses; keep it private",
    "keys/log.key": "signs the log of decisions; keep it private",
    "policies/people/keepers.kn": "who decides where a person is asked",
    "policies/topics/incidents.kn": "who may subscribe to `incidents`",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the templates are filled with: names that were checked, and keys that were made."""

    community: str
    brokers: tuple[str, ...]
    hub: PrivateKey
    desk: PrivateKey
    log: PrivateKey
    user: str
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
            "user": self.user,
            "person": self.user if _is_name(self.user) else KEEPER,
            "year_on": f"{self.now + timedelta(days=365):%Y%m%d}",
            "quarter_on": f"{self.now + timedelta(days=90):%Y%m%d}",
        }


def found(directory: Path, community: str, brokers: Sequence[str], *, json: bool) -> None:
    """Write a clearinghouse into *directory*, and tell the next three commands."""
    _check_empty(directory)
    plan = Plan(community, tuple(dict.fromkeys(brokers)), generate(), generate(), generate(), _caller(), utc_now())
    _check_names(plan)
    written = [*_write(directory, plan), *_write_keys(directory, plan)]
    commands = next_commands(directory)
    if json:
        as_json("init", ok=True, files=[str(each) for each in sorted(written)], commands=[command for _, command in commands])
    else:
        _tell(directory, written, commands)


def _caller() -> str:
    """Return the user of this machine who runs us, where settings can name such a user."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return KEEPER
    return name if _is_user(name) else KEEPER


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


def _check_names(plan: Plan) -> None:
    """Raise unless the settings say just what was asked for; so far nothing is written."""
    read = parse_settings(_settings(plan).decode(), file="the settings", directory=Path())
    if (read.community, tuple(each.jid for each in read.broker)) != (plan.community, plan.brokers):
        raise BadSettings(f"`{clean(plan.community)}` is no name of a community", mend="use lower-case letters, digits, `.`, `_` and `-`")


# -- files --------------------------------------------------------------------------------------------


def _write(directory: Path, plan: Plan) -> Iterator[Path]:
    """Write everything but the keys."""
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
    yield "clearinghouse.toml", _settings(plan), OPEN
    words = {component: secrets.token_hex(SECRET_BYTES) for component in map(component_of, plan.brokers)}
    for component, word in words.items():
        yield f"secrets/{component}", f"{word}\n".encode(), PRIVATE
    path = (directory / "ejabberd.yml").resolve()
    yield "ejabberd.yml", _filled("ejabberd.yml", **values, secret=words[values["component"]], path=str(path)), PRIVATE
    yield "policies/topics/incidents.kn", _filled("incidents.kn", **values), OPEN
    yield "policies/people/keepers.kn", _filled("keepers.kn", **values), OPEN
    serial = secrets.token_hex(16)
    yield "credentials/members.kn", sign(with_serial(_filled("members.kn", **values), serial), plan.hub), OPEN
    yield "drafts/approval.kn", _filled("approval.kn", **values), OPEN


def _settings(plan: Plan) -> bytes:
    found = ({"broker": each, "component": component_of(each), "secret_file": f"secrets/{component_of(each)}"} for each in plan.brokers)
    brokers = b"".join(_filled("broker.toml", **each) for each in found)
    return _filled("clearinghouse.toml", **plan.values(), brokers=brokers.decode())


def _filled(template: str, **values: str) -> bytes:
    text = files("clearinghouse.cli").joinpath("templates", template).read_text(encoding="utf-8")
    return Template(text).substitute(values).encode()


def _write_keys(directory: Path, plan: Plan) -> Iterator[Path]:
    (directory / "keys").mkdir(mode=0o700)
    for name, key in (("hub.key", plan.hub), ("desk.key", plan.desk), ("log.key", plan.log)):
        path = directory / "keys" / name
        write_key_file(path, key)
        yield path


# -- what to do next ----------------------------------------------------------------------------------


def next_commands(directory: Path) -> tuple[tuple[str, str], ...]:
    """Return the next three things to do, each with its command."""
    config = shlex.quote(str(directory / "clearinghouse.toml"))
    return (
        ("see what it would load", f"clearinghouse serve --config {config} --check"),
        ("run it, once your ejabberd knows what is in ejabberd.yml", f"clearinghouse serve --config {config}"),
        ("see who waits for you, and then `clearinghouse approve` them", f"clearinghouse pending --config {config}"),
    )


def _tell(directory: Path, written: Sequence[Path], commands: Sequence[tuple[str, str]]) -> None:
    say((f"a clearinghouse in {clean(str(directory))}", STRONG))
    names = sorted(str(path.relative_to(directory)) for path in written)
    width = max(map(len, names))
    for name in names:
        say(f"{name:<{width}}  ", (MEANINGS.get(name, "a component's secret"), DIM), indent=2)
    for number, (what, command) in enumerate(commands, start=1):
        say("")
        say(f"{number}. {what}:")
        say((f"   {command}", STRONG))
