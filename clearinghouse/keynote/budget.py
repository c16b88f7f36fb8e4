"""The work that one request may cause, counted down as it is done."""

from __future__ import annotations

from clearinghouse.errors import BudgetExhausted


class Budget:
    """Steps left for one request; one step is about 2 us of work on the reference machine.

    Every part of the engine that a stranger can make busy spends from it *before* it works, so a
    hostile request ends as :class:`BudgetExhausted` ("no answer"), never as a denial.
    """

    __slots__ = ("allowed", "left")

    def __init__(self, steps: int) -> None:
        """Allow *steps* steps."""
        self.allowed = steps
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take *steps* away; raise BudgetExhausted when there are not so many."""
        self.left -= steps
        if self.left < 0:
            raise BudgetExhausted(
                f"this request needs more than the {self.allowed} steps of work that one request may cause",
                mend="send fewer or shorter credentials, or raise `steps` in the limits",
            )
