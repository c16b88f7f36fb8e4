"""Run scenarios: each is ruled on by the same five steps as a request that came in at a door."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clearinghouse.clearing.clear import Desk, rule
from clearinghouse.clearing.decision import Decision
from clearinghouse.clearing.enforcement import Enforcement
from clearinghouse.clearing.request import Request
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.vocabulary import GROUPS
from clearinghouse.cli.scenario_file import Asked, Scenario, ScenarioFile, Store, Want, read_scenarios
from clearinghouse.errors import BadPolicy, BadSettings
from clearinghouse.keynote import Admissions, split_assertions
from clearinghouse.storage.folders import CREDENTIALS, SUFFIX, FileRead
from clearinghouse.storage.holdings import Holdings, Loader


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one scenario; ``failures`` says, each in a sentence, what was not as wanted."""

    file: Path
    title: str
    number: int
    scenario: Scenario
    decision: Decision
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the decision is the wanted one."""
        return not self.failures


def run_file(path: Path) -> list[Result]:
    """Run every scenario of the file *path*; raises BadSettings for a file that cannot be used."""
    file = read_scenarios(path)
    return [_run(path, number, scenario, file) for number, scenario in enumerate(file.scenarios, start=1)]


def _run(path: Path, number: int, scenario: Scenario, file: ScenarioFile) -> Result:
    snapshot = _snapshot(path.parent, file, scenario.store)
    desk = Desk(file.community, snapshot, _Nowhere(), _Nowhere(), new_id=lambda: f"scenario-{number}", levels=file.levels)
    decision = rule(_request(path.parent, scenario.request, file), desk, now=scenario.request.now)
    return Result(path, f"{file.community}: {file.note}", number, scenario, decision, tuple(_failures(scenario.want, decision)))


def _request(base: Path, asked: Asked, file: ScenarioFile) -> Request:
    observed, known, claims = (_without(asked.without, each) for each in (asked.observed, asked.known, asked.claims))
    return Request(
        id="scenario",
        operation=asked.operation,
        door=asked.door,
        requesters=tuple(_principal(name, file) for name in asked.requesters),
        observed=observed,
        known=known,
        claims=claims,
        credentials=_texts(base, asked.credentials),
        approvals=_texts(base, asked.approvals),
        validity=asked.validity,
    )


def _texts(base: Path, names: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(raw for path in _files(base, names) for _, raw in split_assertions(path.read_bytes()))


def _without(names: tuple[str, ...], attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if name not in names}


def _principal(name: str, file: ScenarioFile) -> str:
    """Return the principal called *name*; a slip must not become an opaque name that nobody trusts."""
    if name in file.principals:
        return file.principals[name]
    if ":" not in name and name != "POLICY":
        raise BadSettings(f"`{name}` is none of the file's principals", mend="add it to `principals`, or write the principal itself")
    return name


# -- assertions from files ----------------------------------------------------------------------------


def _files(base: Path, names: tuple[str, ...]) -> list[Path]:
    """Return the files that *names* name; a directory stands for the assertions directly in it."""
    found: list[Path] = []
    for path in (base / name for name in names):
        if not path.exists():
            raise BadSettings(f"there is no `{path}`", mend="paths start at the scenario file's directory")
        found += sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    return found


def _snapshot(base: Path, file: ScenarioFile, store: Store) -> Snapshot:
    """Return what a clearinghouse with these policies and this store believes."""
    folders = {group: f"{file.policies}/{group}" for group in GROUPS}
    policies = [(group, path) for group, folder in folders.items() if (base / folder).is_dir() for path in _files(base, (folder,))]
    if not policies:
        raise BadSettings(f"`{base / file.policies}` holds no policies", mend=f"put them into folders named {', '.join(GROUPS)}")
    credentials = [(CREDENTIALS, path) for path in _files(base, store.credentials)]
    held = _held(base, [*policies, *credentials], _principal(file.desk, file) if file.desk else "")
    withdrawn = [each.id for each in _held(base, [(CREDENTIALS, path) for path in _files(base, store.withdrawn)]).credentials]
    revoked, below = ([_principal(name, file) for name in names] for names in (store.revoked, store.below))
    return held.believing(withdrawn=withdrawn, revoked=revoked, below=below).snapshot


def _held(base: Path, files: list[tuple[str, Path]], desk: str = "") -> Holdings:
    """Return what *files* hold; a policy that may not be loaded leaves nothing to be tested."""
    read = [FileRead(_shown(path, base), group, path.read_bytes()) for group, path in files]
    groups = {each.name: each.group for each in read}
    held = Loader(_admissions, desk=desk).load(read, Holdings())
    for problem in held.problems:
        if groups[problem.file] != CREDENTIALS:
            raise BadPolicy(str(problem))
    return held


def _shown(path: Path, base: Path) -> str:
    return os.path.relpath(path, base).replace("../", "")


_admissions = Admissions()


# -- comparing ----------------------------------------------------------------------------------------


def _failures(want: Want, decision: Decision) -> list[str]:
    reason = want.reason or decision.reason.code
    pairs = (("value", want.value, decision.value), ("outcome", want.outcome, decision.outcome), ("reason", reason, decision.reason.code))
    failures = [f"the {name} is `{found}`, not `{wanted}`" for name, wanted, found in pairs if wanted != found]
    skipped = decision.proof.skipped if decision.proof else ()
    told = "\n".join((decision.reason.text, *(each.detail for each in skipped)))
    failures += [f"nothing says `{words}`" for words in want.says if words not in told]
    codes = {each.reason for each in skipped}
    return failures + [f"no assertion was skipped as `{code}`" for code in want.skipped if code not in codes]


class _Nowhere:
    """Keeps no decisions and does nothing: a scenario has no effect."""

    highest_time: datetime | None = None

    async def record(self, decision: Decision) -> None:
        """Keep nothing."""

    async def carry_out(self, enforcement: Enforcement) -> None:
        """Do nothing."""
