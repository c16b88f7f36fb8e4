"""Starts an ejabberd of its own on loopback, and ends it.

It needs nothing but the Debian package: no root, no epmd, no cookie, no file outside its own directory.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from clearinghouse.demo.ejabberd_config import configuration, federated_configuration, name_service
from clearinghouse.demo.servers import API_PORT, CLIENT_PORT, COMPONENT_PORT, START_SECONDS, Server
from clearinghouse.enforcers import ejabberd
from clearinghouse.errors import MissingPackage, OperatorError


@dataclass(slots=True)
class Ejabberd(Server):
    """One ejabberd; see `Server`."""

    name: ClassVar[str] = "ejabberd"
    ports: ClassVar[tuple[int, ...]] = (COMPONENT_PORT, CLIENT_PORT, API_PORT)

    _token: str = field(init=False, repr=False, default_factory=lambda: secrets.token_hex(16))

    @override
    async def register(self, jid: str, password: str) -> None:
        """See `Server.register`; raises `OperatorError` where there is one already."""
        user, _, host = jid.partition("@")
        await asyncio.to_thread(self._call, "register", {"user": user, "host": host, "password": password})

    @override
    def _prepare(self) -> None:
        for name in ("database", "home"):
            (self._directory / name).mkdir()
        config = self._directory / "ejabberd.yml"
        config.touch(mode=0o600)
        config.write_text(self._configuration())

    def _configuration(self) -> str:
        if self.neighbours is None:
            return configuration(self.hosting, self.address, self._token)
        for path, content in ejabberd.installed_files():
            place = self._directory / "home" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        (self._directory / "inetrc").write_text(name_service(self.neighbours))
        return federated_configuration(self.hosting, self.address, self._directory, self._token)

    def _call(self, command: str, arguments: dict[str, str]) -> None:
        connection = http.client.HTTPConnection(self.address, API_PORT, timeout=START_SECONDS)
        try:
            connection.request("POST", f"/{self._token}/{command}", json.dumps(arguments), {"Content-Type": "application/json"})
            response = connection.getresponse()
            said = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise OperatorError(f"ejabberd refused `{command}` with HTTP {response.status}", mend=said)

    @override
    def _command(self) -> list[str]:
        # Deep stacks (+sss, in 1024 words): the server's XML parser recurses, and with the usual 1 MB any
        # client ends the whole server with 4,000 nested elements, 28 kB.  No spinning while idle (+sbwt): others need the cores.
        until_we_end = "spawn(fun() -> io:get_line([]), erlang:halt(0) end)."
        idle = ["+sss", "4096", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
        return ["erl", *idle, "-noshell", "-mnesia", "dir", f'"{self._directory}/database"', "-s", "ejabberd", "-eval", until_we_end]

    @override
    def _environment(self) -> dict[str, str]:
        directory = str(self._directory)
        return {
            "PATH": os.defpath,
            "HOME": f"{directory}/home",
            "ERL_LIBS": str(_library()),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "EJABBERD_CONFIG_PATH": f"{directory}/ejabberd.yml",
            "EJABBERD_LOG_PATH": f"{directory}/ejabberd.log",
            "CONTRIB_MODULES_PATH": f"{directory}/home",
            **({"ERL_INETRC": f"{directory}/inetrc"} if self.neighbours is not None else {}),
        }


def is_installed() -> bool:
    """Whether this machine has the Debian package `ejabberd`."""
    return shutil.which("erl") is not None and bool(_packaged())


def _packaged() -> list[Path]:
    return sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.app"))


def _library() -> Path:
    found = _packaged()
    if not found or shutil.which("erl") is None:
        raise MissingPackage("`ejabberd` is not installed", mend="apt-get install --no-install-recommends ejabberd")
    return found[-1].parents[2]
