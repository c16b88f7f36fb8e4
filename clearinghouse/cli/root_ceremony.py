"""What ``root init``, ``sign``, ``combine`` and ``rotate`` do."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from clearinghouse.clearing.dsse import ROOT, assembled, countersigned, opened, seal, signatures_of
from clearinghouse.cli import principals
from clearinghouse.cli.new_files import write_new
from clearinghouse.cli.output import as_json, clean, say
from clearinghouse.cli.reading import read
from clearinghouse.errors import BadSettings
from clearinghouse.federation.published import roots
from clearinghouse.federation.published.documents import MAX_ROOT_BYTES, check_size, digest
from clearinghouse.federation.published.roots import Root
from clearinghouse.federation.roles import ceremonies
from clearinghouse.federation.roles.ceremonies import ROLES, Draft, Keyholders, NothingToSign, Plan, WrongCeremony
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import is_key, normalise, short

SERIAL_BYTES: Final = 16
"""Random bytes of a serial: no two credentials are ever the same (rule R14)."""


@dataclass(frozen=True, slots=True)
class Holders:
    """The options that say who holds which key; what is not given stays as it was, or is nobody."""

    root: Sequence[str] | None
    threshold: int | None
    roles: Mapping[str, Sequence[str] | None]
    needs: Sequence[str]

    def over(self, roots: Keyholders | None, roles: Mapping[str, Keyholders]) -> tuple[Keyholders, dict[str, Keyholders]]:
        """Return the roots and the holders of roles, where *roots* and *roles* were so before."""
        needed = dict(map(_needed, self.needs))
        found = dict(roles)
        for role, given in self.roles.items():
            before = found.get(role)
            keys = _keys(given) if given else before.keys if before else ()
            if keys:
                kept = before.needed if before and not given else 1
                found[role] = Keyholders(keys, needed.pop(role, kept))
        if needed:
            raise BadSettings(f"nobody holds the role `{next(iter(needed))}`", mend="name a key for it")
        keys = _keys(self.root) if self.root else roots.keys if roots else ()
        kept = roots.needed if roots and not self.root else min(2, len(keys))
        return Keyholders(keys, self.threshold or kept), found


def init(community: str, holders: Holders, days: int, output: Path, *, json: bool) -> None:
    """Write the draft of a first generation."""
    who, roles = holders.over(None, {})
    now = _now()
    plan = Plan(community, 1, 1, now, now + timedelta(days=days), who, roles)
    _begin("root init", ceremonies.drafted(plan, _serial), output, json=json)


def rotate(current: Path, holders: Holders, days: int, output: Path, *, new_epoch: bool, json: bool) -> None:
    """Write the draft of the generation after *current*."""
    _, root = sealed_root(current)
    plan = ceremonies.plan_of(root)
    who, roles = holders.over(plan.roots, plan.roles)
    now = _now()
    following = Plan(
        plan.community, plan.generation + 1, plan.epoch + new_epoch, now, now + timedelta(days=days), who, roles
    )  # a new epoch is one more
    _begin("root rotate", ceremonies.drafted(following, _serial, digest(roots.written(root))), output, json=json)


def sign(file: Path, key: PrivateKey, output: Path | None, *, json: bool) -> None:
    """Sign what is *key*'s to sign in *file*; without *output* only say what that is."""
    raw = read(str(file))
    what, signed = _signed(raw, key)
    if output is not None:
        write_new(output, signed)
    complete = not ceremonies.is_draft(signed) or _is_complete(ceremonies.read_draft(signed))
    if json:
        as_json("root sign", ok=True, what=what, file=None if output is None else str(output), complete=complete)
        return
    say(f"{short(key.principal)} {'has signed' if output else 'would sign'} {what}")
    if output is None:
        say("nothing was written: look at it with `root show`, then give `-o FILE`")
    elif ceremonies.is_draft(signed):
        say("every role is vouched for: a root that signs it once more makes root metadata of it" if complete else _WAITING)


def combine(files: Sequence[Path], output: Path, *, json: bool) -> None:
    """Write one file with what was signed in all of *files*."""
    raws = [read(str(each)) for each in files]
    if all(map(ceremonies.is_draft, raws)):
        made = ceremonies.draft_bytes(ceremonies.combined(tuple(map(ceremonies.read_draft, raws))))
    elif any(map(ceremonies.is_draft, raws)):
        raise WrongCeremony("some of these are drafts, and some root metadata", mend="combine copies of one file")
    else:
        made = _joined(raws)
    write_new(output, made)
    as_json("root combine", ok=True, file=str(output)) if json else say(f"wrote {clean(str(output))}")


def sealed_root(path: Path) -> tuple[bytes, Root]:
    """Return the sealed root metadata in *path*, all of whose signatures hold, and what it says."""
    raw = read(str(path)).rstrip(b"\n")
    if ceremonies.is_draft(raw):
        raise WrongCeremony(f"`{clean(str(path))}` is a draft still", mend="have the roots sign it")
    check_size(raw, MAX_ROOT_BYTES, "the root metadata")
    return raw, roots.read_payload(opened(raw, payload_type=ROOT, most=MAX_ROOT_BYTES).payload)


def _begin(command: str, draft: Draft, output: Path, *, json: bool) -> None:
    write_new(output, ceremonies.draft_bytes(draft))
    waiting = list(ceremonies.unsigned_by(draft.root))
    if json:
        root = draft.root
        as_json(command, ok=True, file=str(output), generation=root.generation, epoch=root.epoch, unsigned=waiting)
        return
    say(f"wrote {clean(str(output))}: generation {draft.root.generation}, epoch {draft.root.epoch}, nothing is signed yet")
    say(f"each root signs it on its own machine: clearinghouse root sign {clean(str(output))} --key KEY -o FILE")


def _signed(raw: bytes, key: PrivateKey) -> tuple[str, bytes]:
    """Return in words what *key* signs of the file *raw*, and the file after that."""
    if not ceremonies.is_draft(raw):
        raw = raw.rstrip(b"\n")
        root = roots.read_payload(opened(raw, payload_type=ROOT, most=MAX_ROOT_BYTES).payload)
        _check_is_root(root, key)
        if key.principal in dict(signatures_of(raw)):
            raise NothingToSign(f"{short(key.principal)} has signed this already", mend="pass it on to the roots that have not")
        return _words(root), countersigned(raw, ROOT, [key], most=MAX_ROOT_BYTES) + b"\n"
    draft = ceremonies.read_draft(raw)
    try:
        vouched = ceremonies.vouched(draft, key)
    except NothingToSign:
        _check_is_root(draft.root, key)
        root = ceremonies.finished(draft)
        return _words(root), seal(roots.written(root), ROOT, [key], most=MAX_ROOT_BYTES) + b"\n"
    count = sum(1 for before, after in zip(draft.root.credentials, vouched.root.credentials, strict=True) if before != after)
    return f"{count} role credentials of generation {draft.root.generation}", ceremonies.draft_bytes(vouched)


def _check_is_root(root: Root, key: PrivateKey) -> None:
    """A key of an older generation signs, too; one that neither generation knows has signed by mistake."""
    if key.principal in ceremonies.roots_of(root).keys:
        return
    say(f"{short(key.principal)} is no root of this generation: it counts only if it is one of the generation before", error=True)


def _words(root: Root) -> str:
    return f"the root metadata, generation {root.generation}, digest {digest(roots.written(root))}"


def _joined(raws: Sequence[bytes]) -> bytes:
    """Return one envelope with the signatures of all *raws*, which hold the same payload."""
    envelopes = [opened(each.rstrip(b"\n"), payload_type=ROOT, most=MAX_ROOT_BYTES) for each in raws]
    if len({each.payload for each in envelopes}) != 1:
        raise WrongCeremony("these are different root metadata", mend="combine copies of one file")
    signatures = dict(pair for each in raws for pair in signatures_of(each.rstrip(b"\n")))
    return assembled(envelopes[0].payload, ROOT, list(signatures.items()), most=MAX_ROOT_BYTES) + b"\n"


def _is_complete(draft: Draft) -> bool:
    try:
        ceremonies.finished(draft)
    except ceremonies.CeremonyIncomplete:
        return False
    return True


def _keys(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(_key, given))


def _key(argument: str) -> str:
    found = from_octets(normalise(principals.principal(argument)))
    if not is_key(found):
        raise BadSettings(f"`{clean(argument)}` is no public key", mend="give what `keygen` printed, or a file that holds it")
    return found


def _needed(text: str) -> tuple[str, int]:
    role, _, number = text.partition("=")
    if role not in ROLES or not number.isascii() or not number.isdigit():
        raise BadSettings(f"`{clean(text)}` does not say how many keys a role needs", mend="write it as in `--needs table=2`")
    return role, int(number[:9])


def _serial() -> str:
    return secrets.token_hex(SERIAL_BYTES)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


_WAITING: Final = "more roots have to vouch for the roles: pass it on, or combine it with their copies"
