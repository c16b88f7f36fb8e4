"""What the commands about an agent do: ask the one that runs or, where none does, work in its state directory."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Final

from clearinghouse import telemetry
from clearinghouse.agent.applying.overrides import LONGEST, Overrides, body_of
from clearinghouse.agent.applying.shorthand import OVERRIDE
from clearinghouse.agent.checks import snapshot_of
from clearinghouse.agent.home.keeping import StateDirectory
from clearinghouse.clearing.dsse import REQUEST, seal
from clearinghouse.clearing.envelope import LONGEST_LIFE, Asked, written
from clearinghouse.clearing.request import LOCAL_USER
from clearinghouse.cli import deciding, reading
from clearinghouse.cli.output import BAD, GOOD, ID_SHOWN, STRONG, as_json, clean, finish, mark, say
from clearinghouse.cli.pinning import pins_of
from clearinghouse.doors.control.client import AGENT, NotRunning, call_at
from clearinghouse.errors import BadSettings
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.model import LogFormat
from clearinghouse.settings.reading import read_agent_settings

NONCE_BYTES: Final = 16
WELL: Final = "good"
DONE: Final = "done"
"""What a clearinghouse says of a request about a record that is signed already."""


Said = Sequence[str] | None
"""What an option says that may be repeated."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys sign, and how they are opened."""

    files: tuple[Path, ...]
    passphrase_file: Path | None
    allow_demo: bool


# -- looking ------------------------------------------------------------------------------------------


def status(config: Path, *, json: bool) -> None:
    """Print how the agent is; status 1 unless all is well."""
    found = call_at(read_agent_settings(config).socket, "status", listener=AGENT)["status"]
    well = found["health"] == WELL
    if json:
        as_json("agent status", ok=well, **found)
    else:
        _tell(found, well=well)
    finish(ok=well)


def _tell(found: dict[str, Any], *, well: bool) -> None:
    say(
        (clean(found["domain"]), STRONG),
        f" in {clean(found['community'])}: ",
        (found["health"], GOOD if well else BAD),
        f", {found['mode']}",
    )
    table = found["table"]
    if table is None:
        say("table    none was ever believed", indent=2)
    else:
        number = f"{table['version']} of epoch {table['epoch']}"
        say(f"table    {number}, {found['standing']}, made {_age(table['age_seconds'])} ago; ends {table['expires'][:19]}", indent=2)
        say(f"         {_counted(table['rows'], 'row')}, {_counted(table['members'], 'member')}", indent=2)
        say(f"         said to be the newest until {(table['timestamp_expires'] or 'never')[:19]}", indent=2)
    say(f"source   {clean(found['source'] or 'none has answered')}", indent=2)
    skew = found["skew_seconds"]
    behind = ", BEHIND what it was: everything is closed" if found["clock_behind"] else ""
    say(f"clock    {'not compared' if skew is None else f'{skew:+g} s from the source'}{behind}", indent=2)
    serial = f"serial {found['serial']}, {_counted(found['rows'], 'row')}, {_counted(found['grants'], 'grant')}"
    say(f"server   {'linked' if found['linked'] else 'NOT LINKED'}, {serial}", indent=2)
    say(f"keys     of {_counted(found['peers'], 'server')} told to it{_doors(found['module'])}", indent=2)
    if not found["kept"]:
        say("disk     takes nothing: what is believed would be lost at a restart", indent=2)
    for each in found["overrides"]:
        say(f"override {each['action']} {clean(each['domain'])} until {each['until'][:19]}: {clean(each['reason'])}", indent=2)
    if found["last_error"] is not None:
        say(mark(good=False), " ", clean(f"{found['last_error']['message']}: {found['last_error']['mend']}"))


def _doors(module: dict[str, Any]) -> str:
    """Return by which doors the server lets itself be sent on, as its module says."""
    names = sorted(dict(module.get("facts") or {}).get("doors") or [])
    return f"; it goes where {clean(', '.join(map(str, names)))} sends it" if names else "; it follows no door"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _age(seconds: int) -> str:
    return str(timedelta(seconds=seconds))


def show(config: Path, *, json: bool) -> None:
    """Print the overrides."""
    settings = read_agent_settings(config)
    found = _done(
        settings, "overrides", lambda each: {"overrides": [one.as_json() | {"holds": one.holds(each.now())} for one in each.every()]}
    )
    if json:
        as_json("agent override list", ok=True, overrides=found["overrides"])
        return
    for each in found["overrides"]:
        held = "" if each["holds"] else ", over"
        head = f"{each['id'][:ID_SHOWN]}  {each['action']:5} {clean(each['domain'])}  until {each['until'][:19]}{held}"
        say(f"{head}  {clean(each['reason'])}")
    if not found["overrides"]:
        say("nothing is overridden")


# -- our own record -----------------------------------------------------------------------------------


def join(config: Path, said: tuple[Said, Said], keys: tuple[Sequence[Path] | None, Said], *, json: bool) -> None:
    """Have the running agent ask for a change of the member's record: what is *said* of endpoints and contacts, and the server's *keys*."""
    settings, (endpoints, contacts) = read_agent_settings(config), said
    files = settings.server.certificate_files
    pins = pins_of(*keys, settings.domain)
    if pins is None and not endpoints and not contacts:
        if not files:
            mend = "name certificates in `certificate_files` of [server], or give options: see `clearinghouse agent join --help`"
            raise BadSettings("nothing says what is to be recorded", mend=mend)
        pins = pins_of(files, None, settings.domain)
    words = {"endpoints": " ".join(endpoints or ()), "contacts": "\n".join(contacts or ()), "pins": pins or ""}
    state = str(call_at(settings.socket, "join", listener=AGENT, **words)["state"])
    if json:
        as_json("agent join", ok=True, state=state, asked={name: text for name, text in words.items() if text})
        return
    good = state == DONE
    say(
        mark(good=True) if good else "…",
        f" {clean(settings.domain)}: {'recorded' if good else 'it waits for a person of the clearinghouse'}",
    )


# -- changing -----------------------------------------------------------------------------------------


def deny(config: Path, domain: str, held: str, reason: str, *, json: bool) -> None:
    """Shut *domain* out."""
    settings, seconds = read_agent_settings(config), _seconds(held)
    by = f"{LOCAL_USER}{getpass.getuser()}"
    found = _done(
        settings,
        "deny",
        lambda each: {"override": each.deny(domain, timedelta(seconds=seconds), reason, by).as_json()},
        domain=domain,
        seconds=str(seconds),
        reason=reason,
    )
    _told("agent override deny", found["override"], json=json)


def allow(config: Path, domain: str, held: str, reason: str, keys: Keys, *, json: bool) -> None:
    """Let *domain* in, signed."""
    settings, period = read_agent_settings(config), timedelta(seconds=_seconds(held))
    now = datetime.now(UTC).replace(microsecond=0)
    asked = Asked(OVERRIDE, settings.domain, token_urlsafe(NONCE_BYTES), now, now + LONGEST_LIFE, body_of(domain, period, reason))
    signers = [reading.private_key(each, keys.passphrase_file, allow_demo=keys.allow_demo) for each in keys.files]
    envelope = seal(written(asked), REQUEST, signers)
    found = _done(
        settings,
        "allow",
        lambda each: {"override": each.allow(envelope).as_json()},
        envelope=encoding.encode(envelope, Encoding.BASE64),
    )
    _told("agent override allow", found["override"], json=json)


def withdraw(config: Path, override: str, *, json: bool) -> None:
    """End an override."""
    settings, by = read_agent_settings(config), f"{LOCAL_USER}{getpass.getuser()}"
    found = _done(settings, "withdraw", lambda each: {"override": each.withdraw(override, by).as_json()}, id=override)
    _told("agent override withdraw", found["override"], json=json)


def _told(command: str, override: dict[str, Any], *, json: bool) -> None:
    if json:
        as_json(command, ok=True, override=override)
        return
    until = f"ended {override['ended'][:19]}" if override["ended"] else f"until {override['until'][:19]}"
    say(mark(good=True), f" {override['action']} {clean(override['domain'])}, {until} UTC ({override['id'][:ID_SHOWN]})")


def _seconds(held: str) -> int:
    period = deciding.period(held)
    if period is None or period > LONGEST:
        raise BadSettings(f"`--for` is more than {LONGEST.days} days", mend="what lasts longer is a policy: write one")
    return int(period.total_seconds())


def _done(settings: AgentSettings, do: str, here: Callable[[Overrides], dict[str, Any]], **words: str) -> dict[str, Any]:
    """Have the running agent *do* it or, where none runs, do it *here*, in its state directory."""
    try:
        return call_at(settings.socket, do, listener=AGENT, **words)
    except NotRunning:
        with _offline(settings) as overrides:
            return here(overrides)


@contextmanager
def _offline(settings: AgentSettings) -> Iterator[Overrides]:
    """Hold the state directory as the agent does; raises `BadSettings` while one is about to start, or to end."""
    telemetry.configure(as_json=settings.log.format is LogFormat.JSON)  # what happens is told on standard error, as by the agent
    state = StateDirectory.made(settings.state)
    with state.claimed():
        overrides = Overrides(settings.domain, settings.community, state, lambda: datetime.now(UTC), lambda: snapshot_of(settings))
        overrides.restore()
        yield overrides
