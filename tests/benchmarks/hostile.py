"""Whether any bytes at all are answered within 50 ms and 64 MB: the worst requests, each in a fresh process.

``python -m tests.benchmarks.hostile NAME REPEATS`` makes one request and prints what it took.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from statistics import median

from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Admissions, Admitted, Assertions, Budget, Limits, Proof, Refused, admit
from tests.benchmarks.community import MATCHING, UNTIL, VALUES, Chain, policy, quoted
from tests.benchmarks.hostile_inputs import INPUTS, REQUESTER, Hostile
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Goal, Section

_LIMITS = Limits()
_WORST = 12
"""Requests that are printed, of each kind of cost."""
_MILLISECONDS, _MEGABYTES = 50.0, 64.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What one request took: milliseconds to the value, megabytes, milliseconds to the last reason."""

    answer: str
    median_ms: float
    largest_ms: float
    peak_mb: float
    explained_ms: float


def hostile(effort: Effort) -> Section:
    """Every input; those of the worst cost of each sort are printed."""
    figures = {name: _in_a_process(name, effort.repeats) for name in INPUTS}
    slowest = sorted(figures, key=lambda name: -figures[name].median_ms)
    largest = sorted(figures, key=lambda name: -figures[name].peak_mb)
    longest = sorted(figures, key=lambda name: -figures[name].explained_ms)
    shown = dict.fromkeys((*slowest[:_WORST], *largest[:3], *longest[:_WORST]))
    rows = [(name, *astuple(figures[name])) for name in shown]
    return Section(
        f"Hostile requests: the worst of {len(figures)}, nothing remembered, default limits",
        ("", "answer", "ms, median", "ms, largest", "MB, peak", "ms, all reasons too"),
        rows,
        (
            Goal(f"ms to answer `{slowest[0]}`", "at most", _MILLISECONDS, figures[slowest[0]].median_ms),
            Goal(f"MB to answer `{largest[0]}`", "at most", _MEGABYTES, figures[largest[0]].peak_mb),
        ),
        (
            "ms: of processor time, which is what an idle machine takes; peak: growth of the process over its size before the request",
            f"{effort.repeats} requests of each kind, every cache emptied before each; reasons have budgets of their own",
        ),
    )


def _in_a_process(name: str, repeats: int) -> Figures:
    command = [sys.executable, "-m", "tests.benchmarks.hostile", name, str(repeats)]
    return Figures(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def base() -> Assertions:
    """Return a small community that has read, verified and matched before."""
    chain = Chain(3, UNTIL)
    odd = 'Local-Constants: A = "x"\nAuthorizer: "POLI" . "CY"\nLicensees: 1-of("a", A)\nConditions: # odd\n a == A;\n'
    policies = (chain.policy, policy(quoted(REQUESTER), MATCHING), admit(odd.encode(), policy=True))
    return Assertions(policies=policies, credentials=map(admit, chain.raws))


def answered(assertions: Assertions, request: Hostile) -> Proof | str:
    """Return the proof, or the code of the error that is the answer."""
    budget, admissions = Budget(_LIMITS.steps), Admissions()
    admitted: list[Admitted] = []
    refused: list[Refused] = []
    try:
        for index, raw in enumerate(request.credentials):
            try:
                admitted.append(admissions.admit(raw, limits=_LIMITS, budget=budget, learn=False))
            except ClearinghouseError as error:
                if error.code == "budget-exhausted":
                    raise
                refused.append(Refused(f"credential {index + 1}", index, error, raw))
        overlaid = assertions.with_credentials(admitted, refused=refused)
        return overlaid.query(authorizers=request.requesters, action=request.action, values=VALUES, budget=budget)
    except ClearinghouseError as error:
        return error.code


def explained(proof: Proof | str) -> str:
    """Derive everything that a proof can say; return its value, or the error's code."""
    if isinstance(proof, str):
        return proof
    try:
        proof.as_json()
    except ClearinghouseError as error:
        return f"{proof.value}, {error.code}"
    return proof.value


def _main() -> None:
    assertions, request, repeats = base(), INPUTS[sys.argv[1]](), int(sys.argv[2])
    explained(answered(assertions, Hostile((), {})))
    took, explaining, peaks, answer = [], [], [], ""
    for _ in range(repeats):
        _forget()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts from here
        before, started = _megabytes("VmRSS"), time.process_time()
        proof = answered(assertions, request)
        took.append((time.process_time() - started) * 1e3)
        peaks.append(_megabytes("VmHWM") - before)
        answer = explained(proof)
        explaining.append((time.process_time() - started) * 1e3)
    print(json.dumps(asdict(Figures(answer, median(took), max(took), max(peaks), median(explaining)))))


def _forget() -> None:
    """Empty every cache of the engine: the worst request is one that was never made before."""
    for name, module in list(sys.modules.items()):
        if name.startswith("clearinghouse.keynote"):
            for value in vars(module).values():
                getattr(value, "cache_clear", int)()


def _megabytes(label: str) -> float:
    """Return a figure of /proc/self/status; getrusage() would begin with the peak of the parent process."""
    found = re.search(rf"{label}:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    _main()
