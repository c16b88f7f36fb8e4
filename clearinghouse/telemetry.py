"""What the service says while it runs: one line for each thing that happened, for people or as JSON.

Whatever others wrote is escaped before it reaches a terminal or a file, secrets have no name here, and
nobody can drown the log: lines that a stranger causes are counted instead of told when there are too many.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from clearinghouse.clearing.decision import Decision, Outcome
from clearinghouse.keynote.principals import short

MAX_SHOWN: Final = 400
"""Characters of one value in a line; the store has the rest."""

SECRETS: Final = frozenset({"secret", "password", "token", "key", "passphrase"})
"""Names under which nothing is ever told."""

ORDINARY: Final = frozenset(
    {"granted", "pending", "condition-failed", "no-licence", "revoked", "not-granted", "nothing-granted"}
    | {"not-proven", "not-a-member", "no-such-member", "no-endpoint"}
)
"""Reason codes of what policy or records simply say; every other one is a rule of authority broken, or something that failed."""

NOISE: Final = "noise"
"""Under this name a line says who caused it, so that it can be counted instead of told."""


def configure(*, as_json: bool = False, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every line of structlog and of the standard library's logging to *stream*, standard error by default."""
    common: list[Processor] = [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    last: Processor = structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else line_for_people
    handler = logging.StreamHandler(stream or sys.stderr)
    foreign: list[Processor] = [*common, structlog.stdlib.add_logger_name, structlog.processors.format_exc_info, harmless]
    handler.setFormatter(ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, last], foreign_pre_chain=foreign))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("clearinghouse").setLevel(level)
    lines = Lines(stream or sys.stderr)
    structlog.configure(
        processors=[*common, Throttle(), structlog.processors.format_exc_info, harmless, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Our own lines go to the stream directly: through the standard library's logging each takes twice as long.
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )


@dataclass(frozen=True, slots=True)
class Lines:
    """Writes lines to *stream*; nothing that we do fails because nobody can read of it."""

    stream: TextIO

    def msg(self, line: str) -> None:
        """Write one line."""
        with suppress(OSError, ValueError):  # nobody reads any more, or the stream is closed
            self.stream.write(f"{line}\n")
            self.stream.flush()

    debug = info = warning = warn = error = critical = fatal = exception = msg


# -- counters -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Counters:
    """What must stay at nought: ``decisions_lost`` were made and could not be made durable, so nobody was told of them.

    Each is asked again by recovery, and decided again.
    """

    decisions_lost: int = 0

    def lose(self, count: int) -> None:
        """Count decisions that could not be made durable."""
        self.decisions_lost += count
        structlog.get_logger(__name__).error("decisions_lost", count=count, together=self.decisions_lost)


# -- decisions ----------------------------------------------------------------------------------------


def decision_line(decision: Decision) -> Mapping[str, str]:
    """Return what the one line about *decision* says; what grants nothing is strangers' noise."""
    request = decision.request
    asker = next(iter(request.requesters), "nobody")
    line = {
        "id": decision.id,
        "value": decision.value,
        "requester": short(asker).removeprefix("xmpp:"),
        **({"to": request.observed["to_domain"]} if "to_domain" in request.observed else {"topic": request.observed.get("topic", "")}),
        "reason": decision.reason.code,
        "because": decision.reason.text,
    }
    return line | ({} if decision.outcome is Outcome.GRANTED else {NOISE: asker})


def decision_level(decision: Decision) -> int:
    """Return how loud the line about *decision* is: a warning where it is not policy that says no."""
    return logging.INFO if decision.reason.code in ORDINARY else logging.WARNING


# -- processors ---------------------------------------------------------------------------------------


def harmless(_: object, __: str, event: EventDict) -> EventDict:
    """Escape what could act on a terminal or hide in a line, cut what is long, and hold back secrets."""
    told = {name: "(held back)" if name in SECRETS else shown(value) for name, value in event.items()}
    if "exception" in event:  # a trace keeps its lines and its length
        told["exception"] = "\n".join(map(_plain, str(event["exception"]).splitlines()))
    return told


def shown(value: object) -> object:
    """Return *value* with its texts as they may be shown: control characters and changes of direction written out."""
    match value:
        case bool() | int() | float() | None:
            return value
        case list() | tuple() | set() | frozenset():
            return [shown(each) for each in value]
        case Mapping():
            return {str(shown(name)): shown(each) for name, each in value.items()}
        case _:
            text = str(value)
            return _plain(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}...")


def _plain(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def line_for_people(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    """Return ``time  LEVEL what-happened  name=value ...``, the level only where it is not the usual one."""
    when = str(event.pop("timestamp", ""))[:19].replace("T", " ")
    level = str(event.pop("level", "info"))
    what = str(event.pop("event", "")).replace("_", " ")
    event.pop("logger", None)
    trace = event.pop("exception", None)
    rest = "  ".join(f"{name}={_quoted(value)}" for name, value in event.items() if value not in ("", None))
    head = f"{when}  {'' if level == 'info' else level.upper() + ' '}{what}"
    return "\n".join(part for part in (f"{head}  {rest}".rstrip(), trace) if part)


def _quoted(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return '"' + value.replace('"', '\\"') + '"' if " " in value or '"' in value else value


@dataclass(slots=True)
class Throttle:
    """Counts lines that carry `NOISE` instead of telling them, beyond a few from each sender and many from all.

    The next line of that sender that is told says how many were not (``unsaid``).
    """

    each: int = 5
    together: int = 100
    seconds: float = 10.0
    senders: int = 10_000
    now: Callable[[], float] = time.monotonic
    _told: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)
    _unsaid: dict[str, int] = field(default_factory=dict)

    def __call__(self, _: object, __: str, event: EventDict) -> EventDict:
        """Let *event* pass, or raise `structlog.DropEvent`."""
        sender: str | None = event.pop(NOISE, None)
        if sender is None:
            return event
        if not (self._passes(sender, self.each) and self._passes("", self.together)):
            self._unsaid[sender] = self._unsaid.get(sender, 0) + 1
            raise structlog.DropEvent
        if unsaid := self._unsaid.pop(sender, 0):
            event["unsaid"] = unsaid
        return event

    def _passes(self, sender: str, most: int) -> bool:
        since = self.now() - self.seconds
        told = [when for when in self._told.pop(sender, []) if when > since]
        passes = len(told) < most
        self._told[sender] = [*told, self.now()] if passes else told
        while len(self._told) > self.senders:
            forgotten, _ = self._told.popitem(last=False)
            self._unsaid.pop(forgotten, None)
        return passes
