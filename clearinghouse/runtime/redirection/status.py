"""What the command line can ask a running node at its socket: how it is, and nothing that changes anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from clearinghouse.clearing.people import Speaker
from clearinghouse.doors.control.asking import Answer, read_question, refused
from clearinghouse.errors import ClearinghouseError, InternalError, MalformedRequest

log = structlog.get_logger(__name__)

STATUS: Final = "status"


@dataclass(frozen=True, slots=True)
class Counter:
    """Implements `clearinghouse.doors.control.server.Answering`; ``status`` gives the members that say how the node is."""

    status: Callable[[], Mapping[str, Any]]

    async def answered(self, who: Speaker, line: bytes) -> Answer:  # noqa: ARG002 - whoever the kernel lets in may know
        """Return the answer to one line, whatever it is; a mistake of ours is *no answer*, and in our log."""
        try:
            _check(line)
            return {"ok": True, STATUS: dict(self.status())}
        except ClearinghouseError as error:
            return refused(error)
        except Exception as error:
            log.exception("control_failed")
            return refused(InternalError(f"the node failed ({type(error).__name__})", mend="its log has the trace; report it"))


def _check(line: bytes) -> None:
    do, words = read_question(line)
    if do != STATUS or words:
        raise MalformedRequest("a node is not asked this", mend=f"ask for its {STATUS}")
