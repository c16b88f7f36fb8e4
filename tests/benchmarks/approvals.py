"""Approvals per second through a real ejabberd, against somebody who says yes to everything: same component, same run."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from clearinghouse.demo.ejabberd import Ejabberd
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, Hosting
from clearinghouse.keynote.keys import write_key_file
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Goal, Section
from tests.benchmarks.subscribers import User, burst, steadily
from tests.world import assertion, key, signed

BROKER, COMPONENT, DOMAIN = "broker.example.net", "ch.example.net", "csirt.example"
REAL, NULL = "decided", "waved-through"
PEOPLE: Final = 16
WINDOW: Final = 4
"""Requests of one user at once: with 16 users as many as the service has hands."""
EACH: Final = 16
"""Requests of one user in one burst; a burst takes a fraction of a second."""

SETTINGS: Final = f"""
community = "csirt-net"
[rates]
each_per_second = 10000.0
each_burst = 100000.0
domain_per_second = 10000.0
domain_burst = 100000.0
[ledger]
key_file = "log.key"
[[broker]]
jid = "{BROKER}"
component = "{COMPONENT}"
secret_file = "secret"
host = "{{address}}"
port = {COMPONENT_PORT}
[[topic]]
node = "{REAL}"
broker = "{BROKER}"
payload_type = "urn:x"
[[topic]]
node = "{NULL}"
broker = "{BROKER}"
payload_type = "urn:x"
"""


def approvals(effort: Effort) -> Section:
    """Measure bursts in turns, and then how long answers take at half that rate."""
    rounds = max(5, effort.rounds // 10)
    found, took = asyncio.run(_measured(rounds))
    real, null = (median(found[topic]) for topic in (REAL, NULL))
    took.sort()
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    rows = [
        ("the clearinghouse", f"{real:.0f}", f"{p50:.1f}", f"{p99:.1f}"),
        ("yes to everything", f"{null:.0f}", "", ""),
    ]
    goals = (
        Goal("approvals per second, of what saying yes reaches", "at least", 0.8, real / null),
        Goal("milliseconds from form to answer at half the rate, p99", "at most", 20, p99),
    )
    notes = (
        f"medians of {rounds} bursts each, in turns, of {PEOPLE * EACH} requests with {PEOPLE * WINDOW} at once",
        "both wait until ejabberd has taken each answer; the clearinghouse has it and its log on the disk before",
    )
    return Section("approvals through ejabberd", ("", "per second", "p50 ms", "p99 ms"), rows, goals, notes)


async def _measured(rounds: int) -> tuple[dict[str, list[float]], list[float]]:
    hosting = Hosting(("example.net", DOMAIN), (BROKER,), COMPONENT, "a secret")
    with TemporaryDirectory() as name:
        async with Ejabberd(hosting) as server:
            directory = Path(name)
            _write(directory, server.address)
            jids = [f"user-{number}@{DOMAIN}" for number in range(PEOPLE)]
            for jid in jids:
                await server.register(jid, "password")
            process = await _started(directory)
            try:
                users = [await User.logged_in(jid, "password", server.address, CLIENT_PORT) for jid in jids]
                found = await _raced(users, rounds)
                await steadily(users, BROKER, REAL, rate=median(found[REAL]) / 2, seconds=5)
                for user in users:
                    user.close()
            finally:
                process.send_signal(signal.SIGTERM)
            out, _ = await process.communicate()
    return found, json.loads(out)[-int(median(found[REAL]) / 2 * 5) :]


async def _raced(users: list[User], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {REAL: [], NULL: []}
    for topic in (REAL, NULL):
        await burst(users, BROKER, topic, EACH, WINDOW)  # warm
    for number in range(rounds):
        for topic in (REAL, NULL) if number % 2 else (NULL, REAL):
            found[topic].append(await burst(users, BROKER, topic, EACH, WINDOW))
    return found


async def _started(directory: Path) -> asyncio.subprocess.Process:
    """Start the clearinghouse, and return when it is ready."""
    told = directory / "log"
    with told.open("wb") as stream:
        config = str(directory / "clearinghouse.toml")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.benchmarks.approver", config, NULL, stdout=asyncio.subprocess.PIPE, stderr=stream
        )
    async with asyncio.timeout(60):
        while b"  ready  " not in told.read_bytes():  # noqa: ASYNC110 - a file announces nothing
            await asyncio.sleep(0.05)
    return process


def _write(directory: Path, address: str) -> None:
    (directory / "clearinghouse.toml").write_text(SETTINGS.format(address=address))
    (directory / "secret").touch(mode=0o600)
    (directory / "secret").write_text("a secret")
    write_key_file(directory / "log.key", key("log"))
    for folder in ("policies/topics", "credentials"):
        (directory / folder).mkdir(parents=True)
    where = f'operation == "subscribe" && topic == "{REAL}"'
    (directory / "policies/topics/a.kn").write_bytes(assertion("POLICY", "hub", where, "allow"))
    (directory / "credentials/a.kn").write_bytes(signed("hub", f"xmpp-member:{DOMAIN}", f'topic == "{REAL}"'))
