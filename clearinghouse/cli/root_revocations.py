"""What ``root revoke`` does: the revoker's key, on call and offline, signs the next revocation set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clearinghouse.clearing.dsse import REVOCATIONS, opened
from clearinghouse.cli import principals
from clearinghouse.cli.new_files import write_new
from clearinghouse.cli.output import as_json, clean, say
from clearinghouse.cli.reading import read
from clearinghouse.errors import BadSettings
from clearinghouse.federation.published import revocations
from clearinghouse.federation.published.documents import MAX_REVOCATIONS_BYTES, check_size
from clearinghouse.federation.published.payloads import is_digest
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import normalise


@dataclass(frozen=True, slots=True)
class Taken:
    """The options that say what is revoked."""

    principals: Sequence[str]
    credentials: Sequence[str]
    below: Sequence[str]


def revoke(previous: Path | None, taken: Taken, key: PrivateKey, place: tuple[str, int], days: int, output: Path, *, json: bool) -> None:
    """Write the set after *previous*, with what is *taken* as well; *place* is community and epoch, as far as they were given."""
    found = _following(previous, *place, days)
    found = replace(
        found,
        principals=_together(found.principals, map(_principal, taken.principals)),
        credentials=_together(found.credentials, map(_id, taken.credentials)),
        below=_together(found.below, map(_principal, taken.below)),
    )
    write_new(output, revocations.seal_revocations(found, [key]) + b"\n")
    count = len(found.principals) + len(found.credentials) + len(found.below)
    if json:
        as_json("root revoke", ok=True, file=str(output), version=found.version, epoch=found.epoch, count=count)
        return
    say(f"wrote {clean(str(output))}: version {found.version} of epoch {found.epoch}, {count} revoked, until {found.expires.date()}")


def _following(previous: Path | None, community: str, epoch: int, days: int) -> RevocationSet:
    """Return the set that follows *previous*, with the same in it: what is revoked stays so, in a new epoch too."""
    now = datetime.now(UTC).replace(microsecond=0)
    if previous is None:
        if not community:
            raise BadSettings("nobody said of which community the set is", mend="give `--community`, or the set before this one")
        return RevocationSet(community, epoch or 1, 1, now, now + timedelta(days=days))
    raw = read(str(previous)).rstrip(b"\n")
    check_size(raw, MAX_REVOCATIONS_BYTES, "the revocation set")
    before = revocations.read_payload(opened(raw, payload_type=REVOCATIONS, most=MAX_REVOCATIONS_BYTES).payload)
    if community not in {"", before.community} or (epoch and epoch < before.epoch):
        raise BadSettings(
            "the set before this one is of another community, or of a later epoch", mend="give the newest one of this community"
        )
    version = before.version + 1 if epoch in {0, before.epoch} else 1
    return replace(before, epoch=epoch or before.epoch, version=version, issued=now, expires=now + timedelta(days=days))


def _together(before: tuple[str, ...], more: map[str]) -> tuple[str, ...]:
    return tuple(sorted({*before, *more}))


def _principal(argument: str) -> str:
    return from_octets(normalise(principals.principal(argument)))


def _id(argument: str) -> str:
    if not is_digest(argument):
        raise BadSettings(f"`{clean(argument)}` is no credential's id", mend="give all 64 digits, as `inspect` and `root show --json` do")
    return argument
