"""One request from the command line to the service, and its answer or its error."""

from __future__ import annotations

import json
import socket
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from clearinghouse.errors import BadSettings, ClearinghouseError, Unavailable
from clearinghouse.settings import Settings

ANSWER_SECONDS: Final = 120.0
"""Until the service has answered; an approval waits for a broker, a dry run may look at 100,000 grants."""

MAX_ANSWER_BYTES: Final = 64 << 20
"""Bytes of one answer: ten thousand cases, each with the longest names that XMPP has."""


class Listener(NamedTuple):
    """Who listens at a socket: what to do where nobody does, and where it is not for us."""

    start: str
    right: str


SERVICE: Final = Listener(
    "start the service: `clearinghouse serve`",
    "run this as the user that the service runs as, or sign it with `--key` and `-o`, and have it handed in",
)
AGENT: Final = Listener("start the agent: `clearinghouse agent`", "run this as the user that the agent runs as")

NODE: Final = Listener(
    "start the node: `clearinghouse redirect`; of a main service's own door `clearinghouse status` tells",
    "run this as the user that the node runs as",
)


class NotRunning(Unavailable):
    """Nobody answers at the control socket."""

    code: ClassVar[str] = "not-running"


class Told(ClearinghouseError):
    """What the service answered instead: its own error, with its own code and exit status."""

    def __init__(self, error: dict[str, Any], status: int) -> None:
        """Take over what *error*, the member of an answer, says."""
        super().__init__(str(error.get("message", "the service refused it")), mend=str(error.get("mend", "")))
        self.said = error
        self.exit_code = status  # type: ignore[misc]  # the class of an error that came over a wire is not known

    def as_json(self) -> dict[str, object]:
        """Return the service's own members."""
        return dict(self.said)


def call(settings: Settings, do: str, **words: str) -> dict[str, Any]:
    """Ask the service that runs by *settings* to *do* something, and return the members of its answer.

    Raises `Told` with the service's own error, `NotRunning`, and `BadSettings` where there is no socket.
    """
    path = settings.control.socket
    if path is None:
        raise BadSettings("the settings have no control socket", mend="name one: `socket` in [control]")
    return call_at(path, do, listener=SERVICE, **words)


def call_at(path: Path, do: str, *, listener: Listener = SERVICE, **words: str) -> dict[str, Any]:
    """Ask the *listener* at *path*; see `call`."""
    request = json.dumps({"do": do, "with": {name: text for name, text in words.items() if text}}).encode("ascii") + b"\n"
    answer = _read(_exchanged(path, request, listener))
    if answer.get("ok") is not True:
        raise Told(answer.get("error", {}), int(answer.get("exit", 2)))
    return answer


def _exchanged(path: Path, request: bytes, listener: Listener) -> bytes:
    try:
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(path))
            with suppress(BrokenPipeError):  # it may have hung up on us, and said why
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as file:
                return file.readline(MAX_ANSWER_BYTES)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"nobody answers at `{path}`", mend=listener.start) from None
    except PermissionError:
        raise BadSettings(f"`{path}` is not for you", mend=listener.right) from None
    except OSError as error:
        raise NotRunning(f"the service at `{path}` does not answer ({error.strerror or error})", mend="look into its log") from None


def _read(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NotRunning("the service ended before it answered", mend="look into its log; what you asked for may be done")
    return found
