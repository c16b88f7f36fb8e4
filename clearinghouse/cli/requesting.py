"""What ``request whitelist`` does: choose what is shown to the target, sign, send, and tell the answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import typer

from clearinghouse.agent.asking.composing import Letter
from clearinghouse.agent.asking.post import RELAY_SECONDS, AgentUnreachable, ByHttps, ByRelay, Way, Wires
from clearinghouse.agent.granting.answers import Answer
from clearinghouse.agent.home.speaking import Speaker
from clearinghouse.clearing.decision import Outcome
from clearinghouse.clearing.envelope import LONGEST_LIFE
from clearinghouse.clearing.facts import LONGEST_VALIDITY
from clearinghouse.clearing.snapshot import licensed
from clearinghouse.clearing.vocabulary import OPERATIONS
from clearinghouse.clearing.whitelist import KIND, Wish
from clearinghouse.cli import deciding, principals, reading
from clearinghouse.cli.loading import load
from clearinghouse.cli.output import ID_SHOWN, OTHER, as_json, clean, mark, say
from clearinghouse.errors import BadSettings, HolderError
from clearinghouse.federation.disclosure import needed_chain
from clearinghouse.federation.enforced.packet_rules import rule_of
from clearinghouse.federation.names import normal
from clearinghouse.keynote import Admitted
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import short

NONCE_BYTES: Final = 18
NOBODY: Final = 3
"""The exit status where nobody answered."""
_VALUES: Final = OPERATIONS[KIND].values or ()


@dataclass(frozen=True, slots=True)
class Signing:
    """The keys that sign, and how they are opened."""

    files: tuple[Path, ...]
    passphrase_file: Path | None
    allow_demo: bool

    def keys(self) -> Sequence[PrivateKey]:
        """Read them; raises what `read_key_file` does."""
        return [reading.private_key(each, self.passphrase_file, allow_demo=self.allow_demo) for each in self.files]


@dataclass(frozen=True, slots=True)
class Address:
    """Where it is sent."""

    via: str | None
    relay: str | None
    community: str
    ca: Path | None

    def way(self, wires: Wires, key: PrivateKey, domain: str) -> Way:
        """Return the way to the agent; raises `BadSettings` unless there is exactly one."""
        if (self.via is None) == (self.relay is None):
            raise BadSettings("there is not one way to the target's agent", mend="give `--via URL`, or `--relay URL` with `--community`")
        if self.via is not None:
            return ByHttps(_url(self.via), wires)
        if not self.community:
            raise BadSettings("the clearinghouse's community is not named", mend="add `--community NAME`")
        speaker = Speaker(key, self.community, lambda: datetime.now(UTC))
        return ByRelay(_url(self.relay or ""), wires, lambda: speaker.authorization(domain))


@dataclass(frozen=True, slots=True)
class Draft:
    """A request before it is signed, and how many credentials there were to choose from."""

    letter: Letter
    held: int

    def as_json(self) -> dict[str, Any]:
        """Return what would be sent."""
        chain = [{"id": each.name, "from": from_octets(each.authorizer or ""), "source": each.source} for each in self.letter.chain]
        return {"to": self.letter.target, "body": self.letter.wish.body(), "credentials": chain, "held": self.held}


def claims(asked: Mapping[str, str], further: Iterable[str]) -> dict[str, str]:
    """Return everything that is claimed; raises `BadQuery` for what is no name with a value, and what `rule_of` does."""
    found = {**asked, **reading.attributes(further, None)}
    rule_of(found)
    return found


def drafted(
    target: str,
    claimed: Mapping[str, str],
    held: str | None,
    signing: Signing,
    credentials: Sequence[str],
    roots: Sequence[str],
    *,
    everything: bool,
) -> Draft:
    """Return the request; raises `HolderError` where the credentials do not lead to who signs, and `Located` for a broken one."""
    keys, period = signing.keys(), deciding.period(held)
    wish = Wish(claimed, None if period is None else int(period.total_seconds()))
    found = _read(credentials)
    if everything or not found or len(keys) > 1:
        return Draft(Letter(normal(target), wish, found), len(found))
    tops = tuple(from_octets(principals.principal(each)) for each in roots) or tuple(_tops(found))
    absent = {each.name: each.default for each in OPERATIONS[KIND].attributes.values() if each.default is not None}
    action = {**absent, **claimed, "operation": KIND, "ValidityPeriod": str(wish.seconds or LONGEST_VALIDITY)}
    chain = needed_chain(found, requester=keys[0].principal, targets=tops, action=action, values=_VALUES, now=datetime.now(UTC))
    if chain is None:
        mend = "see `clearinghouse explain`; `--root KEY` names whom the target trusts, and `--all` shows it everything"
        raise HolderError("the credentials do not lead to your key for this", mend=mend)
    return Draft(Letter(normal(target), wish, chain), len(found))


def _read(credentials: Sequence[str]) -> tuple[Admitted, ...]:
    loaded = load((), credentials, allow_legacy=False)
    if loaded.problems:
        raise loaded.problems[0]
    return loaded.admitted


def _tops(found: Sequence[Admitted]) -> Iterable[str]:
    """Yield who signed something and is trusted by nothing that is held: the target's own keys, as far as we know."""
    trusted = {name for each in found for name in licensed(each)}
    authors = dict.fromkeys(from_octets(each.authorizer or "") for each in found)
    return [each for each in authors if each not in trusted]


# -- telling --------------------------------------------------------------------------------------------


def show(draft: Draft, *, json: bool) -> None:
    """Print what would be sent."""
    if json:
        as_json("request whitelist", ok=True, request=draft.as_json(), answer=None)
    else:
        _tell(draft)


def _tell(draft: Draft) -> None:
    said = ", ".join(f"{name} {value}" for name, value in draft.letter.wish.body().items())
    say(f"to {clean(draft.letter.target)}: {clean(said)}")
    say(f"shows {len(draft.letter.chain)} of {draft.held} credentials" if draft.held else "shows no credentials", indent=2)
    for each in draft.letter.chain:
        say(f"{each.name[:ID_SHOWN]}  by {clean(short(from_octets(each.authorizer or '')))}  {clean(each.source)}", indent=4)


_AWAY: Final = "see that the address is right; the target's agent may be reached through a clearinghouse: `--relay`"
_AWAY_BY_RELAY: Final = "the target's agent may be away, or not fetch what is passed on (`relay` in its settings); ask again later"


def send(draft: Draft, signing: Signing, address: Address, *, json: bool) -> None:
    """Sign, send, and print the answer."""
    if not json:
        _tell(draft)
        if address.relay:
            say(f"it is passed on by {clean(address.relay)}; the answer may take up to {RELAY_SECONDS:g} seconds")
    answer = asyncio.run(_sent(draft, signing.keys(), address))
    if json:
        as_json("request whitelist", ok=answer.granted, request=draft.as_json(), answer=answer.as_json())
    else:
        _tell_answer(answer)
    if not answer.granted:
        raise typer.Exit(NOBODY if answer.outcome == Outcome.UNANSWERED else OTHER)


async def _sent(draft: Draft, keys: Sequence[PrivateKey], address: Address) -> Answer:
    wires = Wires(address.ca)
    try:
        way = address.way(wires, keys[0], draft.letter.wish.claims["domain"])
        envelope = draft.letter.sealed(keys, nonce=secrets.token_urlsafe(NONCE_BYTES), now=datetime.now(UTC), life=LONGEST_LIFE)
        return await way.ask(envelope)
    except AgentUnreachable as error:
        error.mend = _AWAY_BY_RELAY if address.relay else _AWAY
        raise
    finally:
        await wires.close()


def _tell_answer(answer: Answer) -> None:
    until = "" if answer.until is None else f" until {answer.until:%Y-%m-%d %H:%M:%S} UTC"
    identity = f" (decision {clean(answer.id[:ID_SHOWN])})" if answer.id else ""
    say(mark(good=answer.granted), f" {answer.outcome}{until}{identity}")
    if not answer.granted:
        say(clean(f"{answer.code}: {answer.reason}"), indent=2)


def _url(text: str) -> str:
    found = urlsplit(text)
    if found.scheme != "https" or not found.hostname:
        raise BadSettings(f"`{clean(text)}` is no address of an agent", mend="write it as in `https://agent.example:8443`")
    return text.rstrip("/")
