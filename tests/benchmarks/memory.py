"""What a loaded credential keeps, in a process of its own: ``python -m tests.benchmarks.memory COUNT HUBS``."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

from clearinghouse.keynote import Assertions, admit
from tests.benchmarks.community import Chain, members
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Goal, Section

_HUBS = 1_000


def memory(effort: Effort) -> Section:
    """All of them are loaded: nothing is extrapolated."""
    count = effort.crowd
    kinds = {f"{_HUBS:,} authorizers": _HUBS, "each its own authorizer": count}
    rows = []
    for name, hubs in kinds.items():
        allocated, text = _in_a_process("allocated", count, hubs), _in_a_process("text", count, hubs)
        rows.append((name, allocated, _in_a_process("resident", count, hubs), text, allocated + text))
    return Section(
        f"Memory of one of {count:,} loaded credentials (bytes)",
        ("each has its own licensee and domain", "without text", "resident, without text", "text", "with text"),
        rows,
        tuple(Goal(f"bytes for each of {count:,} credentials, without text, {row[0]}", "at most", 800, row[1]) for row in rows),
        (
            "without its text: tracemalloc's growth from the text in memory to the indexed set",
            "resident: growth of the process, what the allocator holds in reserve included",
        ),
    )


def _in_a_process(kind: str, count: int, hubs: int) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.memory", kind, str(count), str(hubs)]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _main() -> None:
    kind, count, hubs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    raws = list(members(count, hubs))
    if kind == "text":
        print(sum(map(sys.getsizeof, raws)) / count)
        return
    admit(Chain(1).raws[0])  # what is made once is no part of a credential
    gc.collect()
    before = _traced() if kind == "allocated" else _resident()
    assertions = Assertions(credentials=map(admit, raws))
    gc.collect()
    after = _traced() if kind == "allocated" else _resident()
    if sum(1 for _ in assertions) != count:
        raise AssertionError("some credentials are not loaded")
    print((after - before) / count)


def _traced() -> int:
    """Return the bytes allocated since the first call."""
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def _resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(found[1]) * 1024 if (found := re.search(r"VmRSS:\s*(\d+) kB", Path("/proc/self/status").read_text())) else 0


if __name__ == "__main__":
    _main()
