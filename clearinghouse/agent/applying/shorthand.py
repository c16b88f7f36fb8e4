"""What the settings say in short, written out as policy: there is one mechanism, and this is text for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import structlog

from clearinghouse.clearing.policies import check_policy
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.errors import BadSettings
from clearinghouse.keynote import Admitted, Assertions, Limits, admit
from clearinghouse.keynote.principals import short
from clearinghouse.settings.agent import Admitting, AgentSettings, Packet, Stanzas

log = structlog.get_logger(__name__)

ADMIT: Final = "admit"
OVERRIDE: Final = "override"
"""Both a group of policies and its one operation."""


class UnknownLevel(BadSettings):
    """The settings name a level that the community does not have."""

    code: ClassVar[str] = "unknown-level"


def admitting_texts(admitting: Admitting, stanzas: Sequence[Stanzas], levels: Sequence[str]) -> Iterator[str]:
    """Yield the policies of the group `admit` that the settings abbreviate; *levels* are the community's, weakest first.

    Raises `UnknownLevel` where they name another one.
    """
    _check_known(admitting, stanzas, levels)
    described = {each.level: each for each in stanzas}
    for level in _admitted(admitting, levels):
        yield _text(f'level == "{level}"' + _kinds(described.get(level)), ADMIT)


def override_text(keys: Sequence[str]) -> str:
    """Return the policy of the group `override` that lets each of the site's *keys* admit a domain for a time."""
    return _text(f'operation == "{OVERRIDE}"', OVERRIDE, " || ".join(f'"{key}"' for key in keys))


@dataclass(slots=True)
class LocalPolicy:
    """What the site believes: its folders (*believed*), and what its *settings* abbreviate."""

    settings: AgentSettings
    believed: Callable[[], Snapshot]
    _version: str = ""
    _made: dict[tuple[str, ...], Snapshot] = field(default_factory=dict)

    def snapshot(self, levels: Sequence[str] = ()) -> Snapshot:
        """Return it where the community has these *levels*; without them nothing is abbreviated about levels.

        A level in the settings that the community does not have is told, and counts for nothing: what the folders say
        of others still counts.
        """
        believed, key = self.believed(), tuple(levels)
        if believed.version != self._version:
            self._version, self._made = believed.version, {}
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = with_policies(believed, self._abbreviated(levels))
        return found

    def _abbreviated(self, levels: Sequence[str]) -> dict[str, tuple[Admitted, ...]]:
        try:
            return policies_of(self.settings, levels)
        except UnknownLevel as error:
            log.error("setting_counts_for_nothing", reason=error.message, mend=error.mend)  # noqa: TRY400 - the mend, not the frames
            return policies_of(self.settings, ())


def policies_of(settings: AgentSettings, levels: Sequence[str]) -> dict[str, tuple[Admitted, ...]]:
    """Return the policies that *settings* abbreviate, by group; raises `UnknownLevel`, unless there are no *levels* yet."""
    found = {ADMIT: tuple(admitting_texts(settings.admit, settings.stanzas, levels)) if levels else ()}
    if settings.override_keys:
        found[OVERRIDE] = (override_text(settings.override_keys),)
    return {group: tuple(_loaded(text, group) for text in texts) for group, texts in found.items()}


def written_out(settings: AgentSettings) -> Iterator[str]:
    """Yield what *settings* abbreviate, for people: as far as it can be said without knowing the community's levels."""
    described = {each.level: each for each in settings.stanzas}
    if settings.admit.minimum:
        yield f"level {settings.admit.minimum} and each stronger one is admitted"
    for level in dict.fromkeys(settings.admit.levels):
        yield f"level {level} is admitted"
    for level, each in described.items():
        yield f"level {level} lets pass: in {', '.join(each.inbound) or 'nothing'}; out {', '.join(each.outbound) or 'nothing'}"
    for key in settings.override_keys:
        yield f"{short(key)} may admit a domain for a time"


def with_policies(snapshot: Snapshot, more: dict[str, tuple[Admitted, ...]]) -> Snapshot:
    """Return *snapshot* with the policies of *more* laid over those of the folders; what is revoked stays so (rule R15)."""
    groups = dict(snapshot.groups)
    for group, policies in more.items():
        own = Assertions(policies=policies).without((), principals=snapshot.revoked)
        groups[group] = own.over(snapshot.assertions(group))
    return replace(snapshot, groups=groups, approvals={}, desk="")


def _check_known(admitting: Admitting, stanzas: Iterable[Stanzas], levels: Sequence[str]) -> None:
    named = (*([admitting.minimum] if admitting.minimum else []), *admitting.levels, *(each.level for each in stanzas))
    for level in named:
        if level not in levels:
            mend = f"the community's are {', '.join(levels)}"
            raise UnknownLevel(f"`{level}` is no level of this community", mend=mend)


def _admitted(admitting: Admitting, levels: Sequence[str]) -> Iterator[str]:
    """Yield the levels that are admitted: the lowest never is, since it is that of everybody."""
    first = levels.index(admitting.minimum) if admitting.minimum else len(levels)
    for number, level in enumerate(levels):
        if number > 0 and (number >= first or level in admitting.levels):
            yield level


def _kinds(stanzas: Stanzas | None) -> str:
    if stanzas is None:
        return ""
    parts = [_direction("in", stanzas.inbound), _direction("out", stanzas.outbound)]
    return f" && ({' || '.join(part for part in parts if part) or 'false'})"


def _direction(name: str, kinds: Sequence[Packet]) -> str:
    if not kinds:
        return ""
    if set(kinds) == set(Packet):
        return f'(direction == "{name}")'
    tests = " || ".join(f'kind == "{kind}"' for kind in sorted(set(kinds)))
    return f'(direction == "{name}" && ({tests}))'


def _text(condition: str, group: str, licensees: str = "") -> str:
    who = f"Licensees: {licensees}\n" if licensees else ""
    return f'Comment: from the settings, for the group `{group}`\nAuthorizer: "POLICY"\n{who}Conditions: {condition} -> "allow";\n'


def _loaded(text: str, group: str) -> Admitted:
    """Admit a text of ours as a policy of *group*, by the same rules as one in a file."""
    found = admit(text.encode(), policy=True, limits=Limits.local(), source="the settings")
    check_policy(found, group)
    return found
