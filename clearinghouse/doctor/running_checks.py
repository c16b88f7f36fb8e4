"""What is unsafe in what runs: the module in the server, its streams, the agent beside it, and the clocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from clearinghouse.doctor.catalogue import Seen, Severity, check
from clearinghouse.doctor.facts import Facts
from clearinghouse.doctor.versions import packaged
from clearinghouse.federation.enforced.image import NOTHING, Image

LAST_WORD_MINUTES: Final = 10
"""An agent asks its module each minute; ten minutes without an answer are no accident."""

CLOCKS_APART_SECONDS: Final = 5
CLOCKS_FAR_APART_SECONDS: Final = 120
"""Envelopes allow for 2 seconds and live for 5 minutes at most; beyond two minutes a fresh one may be refused."""


@check(
    "D301",
    "module-silent",
    Severity.DANGER,
    "the server's module has not answered the agent: nothing is enforced, or nobody knows",
    "see D106 or D205, that the agent runs, and that both name the same component and secret",
)
def module_silent(facts: Facts) -> Iterator[Seen]:
    """Look for a status of the module, and for its age."""
    if not facts.asked:
        return
    if not facts.live.get("module"):
        yield Seen("the agent", "has no status of the server's module")
    elif facts.live_at is not None and (age := (facts.now - facts.live_at).total_seconds()) > LAST_WORD_MINUTES * 60:
        yield Seen("the agent", f"last heard of the module {age / 60:.0f} minutes ago", Severity.WARNING)


@check(
    "D302",
    "module-of-another-version",
    Severity.WARNING,
    "the module that runs is not the one of this package",
    "write it again with `clearinghouse server-module ... --force`, and restart the server",
)
def module_version(facts: Facts) -> Iterator[Seen]:
    """Compare the version that the module tells with the one that we would install."""
    server, version = facts.live.get("server"), facts.live.get("module")
    ours = packaged(str(server))
    if version and ours and version != ours:
        yield Seen("the running server", f"runs version {version} of the module, and this package has {ours}")


@check(
    "D303",
    "streams-against-policy",
    Severity.DANGER,
    "streams are open that the agent's image would refuse",
    "if the agent is in shadow mode, see `clearinghouse shadow report`; if it enforces, restart the server and report it",
)
def streams_against_policy(facts: Facts) -> Iterator[Seen]:
    """Ask the images about each stream that the module tells of."""
    images = {host: image for image in facts.images for host in (image.hosts or (image.name,))}
    now = int(facts.now.timestamp())
    for stream in _rows(facts.live.get("streams")):
        local, remote = str(stream.get("local", "")), str(stream.get("remote", ""))
        image = images.get(local)
        shadow = image is not None and image.mode == "shadow"
        if image is not None and (shadow or not facts.is_older) and image.mask(remote, now=now) == NOTHING:
            what = f"a stream of `{remote}` is open, which policy {'would refuse' if shadow else 'refuses'}"
            yield Seen(local, what, Severity.WARNING if shadow else None)


@check(
    "D304",
    "ungoverned-hosts",
    Severity.WARNING,
    "hosts of the server are named by no image: nothing passes there, or everything where the module says so",
    "name them in `hosts` of the agent's settings",
)
def ungoverned_hosts(facts: Facts) -> Iterator[Seen]:
    """Compare the hosts of the running server with those that the images name."""
    governed = {host for image in facts.images for host in (image.hosts or (image.name,))}
    agent = facts.agent.server.component if facts.agent else str(facts.told.get("agent", ""))
    for host in facts.told.get("hosts", ()) if facts.images or facts.agent else ():
        if isinstance(host, str) and host not in {agent, *governed} and not (facts.agent and host in facts.agent.governed):
            yield Seen(host, "is named by no image")


@check(
    "D305",
    "shadow-mode",
    Severity.NOTE,
    "the module counts and enforces nothing",
    'set `mode = "enforce"` in the agent\'s settings, once `clearinghouse shadow report` says what you want',
)
def shadow_mode(facts: Facts) -> Iterator[Seen]:
    """Look at the mode of each image."""
    images = facts.live.get("images")
    told = images if isinstance(images, Mapping) and not facts.is_older else {image.name: {"mode": image.mode} for image in facts.images}
    for name, image in told.items():
        if isinstance(image, Mapping) and image.get("mode") == "shadow":
            yield Seen(str(name), "is in shadow mode")


@check(
    "D306",
    "open-plain-stream",
    Severity.DANGER,
    "a stream to or from another server is open without TLS",
    "see D104 or D202",
)
def plain_stream(facts: Facts) -> Iterator[Seen]:
    """Look at each stream that the module tells of."""
    for stream in _rows(facts.live.get("streams")):
        if stream.get("secure") is False:
            yield Seen(str(stream.get("local", "")), f"the stream of `{stream.get('remote')}` ({stream.get('direction')}) has no TLS")


@check(
    "D307",
    "stream-by-dialback",
    Severity.WARNING,
    "a stream is open whose other side has proven itself by DNS only",
    "see D101 or D201; ask that partner for a certificate",
)
def stream_by_dialback(facts: Facts) -> Iterator[Seen]:
    """Look at each stream that the module tells of."""
    for stream in _rows(facts.live.get("streams")):
        if stream.get("auth") == "dialback":
            yield Seen(
                str(stream.get("local", "")), f"the stream of `{stream.get('remote')}` ({stream.get('direction')}) rests on dialback"
            )


@check(
    "D308",
    "image-behind",
    Severity.WARNING,
    "the server has an older image than the agent made, or cannot keep it over a restart",
    "see the agent's last error, and the disk of the server",
)
def image_behind(facts: Facts) -> Iterator[Seen]:
    """Compare the serial of each image with what the module has."""
    told = facts.live.get("images")
    for image in facts.images if isinstance(told, Mapping) and not facts.is_older else ():
        found = told.get(image.name) if isinstance(told, Mapping) else None
        yield from _compared(image, found if isinstance(found, Mapping) else {})


def _compared(image: Image, found: Mapping[str, Any]) -> Iterator[Seen]:
    serial = found.get("serial", 0)
    if isinstance(serial, int) and serial < image.serial:
        yield Seen(image.name, f"the server has serial {serial}, and the agent {image.serial}")
    if found.get("kept") is False:
        yield Seen(image.name, "the server could not keep the image for its next start")


@check(
    "D309",
    "agent-unwell",
    Severity.WARNING,
    "the agent says that it is not well",
    "`clearinghouse agent status` says why",
)
def agent_unwell(facts: Facts) -> Iterator[Seen]:
    """Look at what the agent says of itself."""
    standing, error = facts.status.get("standing"), facts.status.get("last_error")
    if standing in {"stale", "expired"}:
        severity = Severity.DANGER if standing == "expired" else None
        yield Seen("the agent", f"its table is {standing}", severity)
    if isinstance(error, Mapping) and error.get("message"):
        yield Seen("the agent", f"its last error: {error['message']}")


@check(
    "D310",
    "clocks-apart",
    Severity.WARNING,
    "clocks differ: tables and requests seem too old or too new, and end at the wrong time",
    "run a time service (chrony, systemd-timesyncd) on the machine of each",
)
def clocks_apart(facts: Facts) -> Iterator[Seen]:
    """Compare the server's clock with the instant at which the agent had its answer, and the agent's with the clearinghouse's."""
    theirs = facts.told.get("time")
    if isinstance(theirs, int) and facts.live_at is not None:
        yield from _apart("the server", theirs - facts.live_at.timestamp())
    skew = facts.status.get("skew_seconds")
    if isinstance(skew, int | float):
        yield from _apart("the clearinghouse", float(skew))


def _apart(whose: str, seconds: float) -> Iterator[Seen]:
    if abs(seconds) > CLOCKS_APART_SECONDS:
        severity = Severity.DANGER if abs(seconds) > CLOCKS_FAR_APART_SECONDS else None
        yield Seen(whose, f"its clock is {abs(seconds):.0f} seconds {'ahead' if seconds > 0 else 'behind'}", severity)


def _rows(found: object) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in found if isinstance(each, Mapping)) if isinstance(found, list) else ()
