"""What the garbage collector does in a process that serves."""

from __future__ import annotations

import gc
from typing import Final

COLLECT_AFTER: Final = (50_000, 50, 100)
"""Objects more than were freed, and young collections, before the collector looks: Python's own 700 is made for scripts."""


def spare_collector() -> None:
    """Have the garbage collector look seldom, and never again at what was loaded: policies outlive all questions.

    Measured: a fifth of the processor's time of an approval, and the longest pauses.  What questions leave behind is
    freed without the collector, which is there for cycles; of these hardly any question has one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
