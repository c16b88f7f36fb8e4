"""Starts a jabberd2 (2.7.0, as Debian 12 packages it) of its own on loopback, and ends it: a server for which there is no module of ours.

It has no certificate: other servers believe it by dialback (XEP-0220) or not at all.
Its resolver (udns) takes our name server from the environment.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from typing_extensions import override

from clearinghouse.demo.neighbours import S2S_PORT
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, POLL_SECONDS, START_SECONDS, Server

PROGRAMS: Final = Path("/usr/sbin")
MODULES: Final = "/usr/lib/x86_64-linux-gnu/jabberd2"
PARTS: Final = ("sm", "c2s", "s2s")

_LOG: Final = "<log type='stdout'/>"
_ROUTER: Final = """<router><id>router</id>{log}<local><ip>{address}</ip><port>{component_port}</port><users>{directory}/users.xml</users>
<secret>secret</secret></local><io><max_fds>256</max_fds></io><aci><acl type='all'><user>jabberd</user></acl></aci></router>
"""
_USERS: Final = "<users><user><name>jabberd</name><secret>secret</secret></user></users>\n"
_LINK: Final = """{log}<router><ip>{address}</ip><port>{component_port}</port><user>jabberd</user><pass>secret</pass>
<retry><init>20</init><lost>0</lost><sleep>1</sleep></retry></router><io><max_fds>256</max_fds></io>
"""
_SM: Final = """<sm><id>sm</id>{link}<local><id>{domain}</id></local>
<storage><path>{modules}</path><driver>fs</driver><fs><path>{directory}/data</path></fs></storage>
<modules><path>{modules}</path><chain id='in-sess'><module>validate</module><module>presence</module><module>deliver</module></chain>
<chain id='in-router'><module>session</module><module>validate</module><module>presence</module></chain>
<chain id='pkt-sm'><module>iq-ping</module></chain><chain id='pkt-user'><module>presence</module><module>deliver</module></chain>
<chain id='pkt-router'><module>session</module></chain></modules><user><auto-create/></user></sm>
"""
_C2S: Final = """<c2s><id>c2s</id>{link}<local><id>{domain}</id><ip>{address}</ip><port>{client_port}</port></local>
<authreg><path>{modules}</path><module>sqlite</module><mechanisms><sasl><plain/></sasl></mechanisms>
<sqlite><dbname>{directory}/accounts.db</dbname><password_type><plaintext/></password_type></sqlite></authreg></c2s>
"""
_S2S: Final = """<s2s><id>s2s</id>{link}<local><ip>{address}</ip><port>{s2s_port}</port><origins><ip>{address}</ip></origins></local>
<lookup><srv>xmpp-server</srv></lookup></s2s>
"""
_LAUNCH: Final = """pids=
for part in router sm c2s s2s; do {programs}/jabberd2-$part -c {directory}/$part.xml & pids="$pids $!"; done
trap 'kill $pids; wait; exit' TERM
read -r _
kill $pids
wait
"""


@dataclass(slots=True)
class Jabberd2(Server):
    """One jabberd2; see `Server`."""

    name: ClassVar[str] = "jabberd2"

    @override
    async def start(self) -> None:
        """See `Server.start`; its parts find each other in any order."""
        await Server.start(self)
        async with asyncio.timeout(START_SECONDS):
            while f"[{self.hosting.domains[0]}] online" not in self.said():  # noqa: ASYNC110 - it tells its log alone
                await asyncio.sleep(POLL_SECONDS)

    @override
    async def register(self, jid: str, password: str) -> None:
        """See `Server.register`."""
        user, _, host = jid.partition("@")
        with closing(sqlite3.connect(self._accounts)) as accounts, accounts:
            accounts.execute("INSERT INTO authreg VALUES (?, ?, ?)", (user, host, password))

    def said(self) -> str:
        """Return its log."""
        return (self._directory / "output.log").read_text(errors="replace")

    @property
    def _accounts(self) -> Path:
        return self._directory / "accounts.db"

    @override
    def _prepare(self) -> None:
        assert self.neighbours is not None
        (self._directory / "data").mkdir()
        with closing(sqlite3.connect(self._accounts)) as accounts:
            accounts.execute("CREATE TABLE authreg (username TEXT, realm TEXT, password TEXT)")  # as its db-setup.sqlite
        words = {
            "log": _LOG,
            "address": self.address,
            "directory": str(self._directory),
            "domain": self.hosting.domains[0],
            "modules": MODULES,
            "programs": str(PROGRAMS),
            "component_port": str(COMPONENT_PORT),
            "client_port": str(CLIENT_PORT),
            "s2s_port": str(S2S_PORT),
        }
        words["link"] = _LINK.format(**words)
        for name, text in {"router": _ROUTER, "users": _USERS, "sm": _SM, "c2s": _C2S, "s2s": _S2S}.items():
            (self._directory / f"{name}.xml").write_text(text.format(**words))
        (self._directory / "launch.sh").write_text(_LAUNCH.format(**words))

    @override
    def _command(self) -> list[str]:
        return ["sh", str(self._directory / "launch.sh")]

    @override
    def _environment(self) -> dict[str, str]:
        assert self.neighbours is not None
        names = self.neighbours.names
        return {"PATH": os.defpath, "NAMESERVERS": names.address, "RES_OPTIONS": f"port:{names.port}"}
