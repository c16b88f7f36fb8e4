"""What ``root show`` and ``root verify`` say: who holds which key, who has signed, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clearinghouse.clearing.dsse import ROOT, opened
from clearinghouse.clearing.wire import stamp
from clearinghouse.cli.output import DIM, STRONG, Located, as_json, clean, error_json, finish, mark, say, tell_error
from clearinghouse.cli.reading import read
from clearinghouse.cli.root_ceremony import sealed_root
from clearinghouse.errors import ClearinghouseError
from clearinghouse.federation.published import roots
from clearinghouse.federation.published.documents import MAX_ROOT_BYTES, digest
from clearinghouse.federation.published.refusals import RootExpired
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.roles import ceremonies
from clearinghouse.federation.roles.ceremonies import Keyholders
from clearinghouse.federation.trust import believing
from clearinghouse.federation.trust.state import State
from clearinghouse.keynote.principals import short


@dataclass(frozen=True, slots=True)
class Picture:
    """Root metadata, or a draft of it, as it is shown; ``signers`` is ``None`` for a draft."""

    root: Root
    signers: tuple[str, ...] | None

    @property
    def vouchers(self) -> dict[str, tuple[str, ...]]:
        """Which roots have vouched for each role."""
        return ceremonies.vouchers_of(self.root)

    def as_json(self) -> dict[str, Any]:
        """Return it in the documented schema."""
        root, held = self.root, _held(self.root)
        return {
            "kind": "draft" if self.signers is None else "root",
            "community": root.community,
            "generation": root.generation,
            "epoch": root.epoch,
            "issued": stamp(root.issued),
            "expires": stamp(root.expires),
            "digest": None if self.signers is None else digest(roots.written(root)),
            "signers": list(self.signers or ()),
            "roots": None if held is None else _holders_json(held),
            "roles": {
                role: {**_holders_json(holders), "vouched": list(self.vouchers.get(role, ()))}
                for role, holders in ceremonies.roles_of(root).items()
            },
        }


def show(file: Path, *, json: bool) -> None:
    """Show a draft, or sealed root metadata."""
    raw = read(str(file))
    if ceremonies.is_draft(raw):
        picture = Picture(ceremonies.read_draft(raw).root, None)
    else:
        envelope = opened(raw.rstrip(b"\n"), payload_type=ROOT, most=MAX_ROOT_BYTES)
        picture = Picture(roots.read_payload(envelope.payload), envelope.signers)
    as_json("root show", ok=True, **picture.as_json()) if json else _draw(picture)


def verify(files: Sequence[Path], pin: str, *, json: bool) -> None:
    """Check a line of generations as an agent does, but for the last one's expiry, which is told at the end."""
    now = datetime.now(UTC)
    state, problems, pins = _checked(files, pin, now)
    ok = not problems
    if json:
        last = None if state is None else Picture(state.rights.root, None).as_json() | {"kind": "root"}
        as_json("root verify", ok=ok, pin=pins, root=last, errors=[error_json(each) for each in problems])
    else:
        for problem in problems:
            tell_error(problem, error=False)
        if state is not None and ok:
            root = state.rights.root
            say(mark(good=True), f" generation {root.generation} of {clean(root.community)}, epoch {root.epoch}, holds until {_day(root)}")
            say(f"the first is pinned by {pins}", indent=2)
    finish(ok=ok)


def _checked(files: Sequence[Path], pin: str, now: datetime) -> tuple[State | None, list[Located], str]:
    """Return the state that *files* lead to, what is wrong, and the digest of the first."""
    state, pins = None, pin
    for file in files:
        raw, root = sealed_root(file)
        try:
            if state is None:
                pins = pin or digest(roots.written(root))
                state = believing.pinned(raw, pins, "*", "", now)
            else:
                state = believing.next_root(state, raw, now)
        except ClearinghouseError as error:
            return state, [Located(error, str(file))], pins
    if state is not None and state.rights.root.expires <= now:
        over = RootExpired(f"the last one expired on {_day(state.rights.root)}", mend="hold a ceremony for the next generation")
        return state, [Located(over, str(files[-1]))], pins
    return state, [], pins


def _draw(picture: Picture) -> None:
    root, held = picture.root, _held(picture.root)
    what = "draft of root metadata" if picture.signers is None else "root metadata"
    say((f"{what} of {clean(root.community)}", STRONG), f", generation {root.generation}, epoch {root.epoch}")
    say(f"from {stamp(root.issued)} until {stamp(root.expires)}", indent=2)
    if picture.signers is not None:
        say(f"digest {digest(roots.written(root))}", indent=2)
    if held is None:
        say("its policy was written by hand; `inspect` explains it", indent=2)
    else:
        say(f"roots: {held.needed} of {len(held.keys)} sign together", indent=2)
        for key in held.keys:
            _draw_root(picture, key)
    for extra in [each for each in picture.signers or () if held is None or each not in held.keys]:
        say(mark(good=True), f" {short(extra)} has signed, too", indent=4)
    for role, holders in ceremonies.roles_of(root).items():
        vouched = len(picture.vouchers.get(role, ()))
        say(f"{role}: {_together(holders)}", (f", vouched for by {vouched} root{'' if vouched == 1 else 's'}", DIM), indent=2)
        for key in holders.keys:
            say(short(key), indent=4)


def _draw_root(picture: Picture, key: str) -> None:
    if picture.signers is not None:
        signed = key in picture.signers
        say(mark(good=signed), f" {short(key)} {'has signed' if signed else 'has not signed'}", indent=4)
        return
    waiting = key in ceremonies.unsigned_by(picture.root)
    say(
        mark(good=not waiting), f" {short(key)} {'has still to vouch for the roles' if waiting else 'has vouched for every role'}", indent=4
    )


def _together(holders: Keyholders) -> str:
    return "one key" if len(holders.keys) == 1 else f"{holders.needed} of {len(holders.keys)} keys sign together"


def _held(root: Root) -> Keyholders | None:
    """Return who the roots are, where the policy is one that says it plainly."""
    try:
        return ceremonies.roots_of(root)
    except ClearinghouseError:
        return None


def _holders_json(holders: Keyholders) -> dict[str, Any]:
    return {"needed": holders.needed, "keys": list(holders.keys)}


def _day(root: Root) -> str:
    return root.expires.date().isoformat()
