"""Starts a Prosody of its own on loopback, with our module in it, and ends it.

It needs nothing but the Debian package: no root, no prosodyctl, no file outside its own directory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from string import Template, ascii_letters, digits
from typing import ClassVar, Final

from typing_extensions import override

from clearinghouse.demo.neighbours import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, S2S_PORT, Neighbours
from clearinghouse.demo.servers import CLIENT_PORT, COMPONENT_PORT, MAX_STANZA_BYTES, Hosting, Server
from clearinghouse.enforcers import prosody
from clearinghouse.errors import MissingPackage, OperatorError

_TEMPLATE: Final = Path(__file__).with_name("prosody.cfg.lua")
_FEDERATED: Final = Path(__file__).with_name("prosody_federated.cfg.lua")
_OWN_MODULE: Final = Path(__file__).with_name("mod_ends_with_stdin.lua")

_NAME: Final = frozenset(ascii_letters + digits)
_PLAIN: Final = _NAME | set(" !#$%&'()*+,-./:;<=>?@[]^_`{|}~")

MAX_ITEMS: Final = 1000
"""Items that a topic may keep at most: as in ``ejabberd.yml``."""


@dataclass(slots=True)
class Prosody(Server):
    """One Prosody; see `Server`."""

    name: ClassVar[str] = "prosody"

    @override
    async def register(self, jid: str, password: str) -> None:
        """See `Server.register`; raises `OperatorError` where there is one already."""
        user, _, host = jid.partition("@")
        folder = self._directory / "data" / _file_name(host) / "accounts"
        folder.mkdir(parents=True, exist_ok=True)
        account = folder / f"{_file_name(user)}.dat"
        if account.exists():
            raise OperatorError(f"`{jid}` has an account already", mend="choose another name")
        account.touch(mode=0o600)
        account.write_text(f'return {{ ["password"] = {lua_text(password)}; }};\n')
        self._hand_over()

    @override
    def _prepare(self) -> None:
        (self._directory / "data").mkdir()
        modules = self._directory / "modules"
        module = prosody.MODULE if self.neighbours is None else prosody.FEDERATION
        for path, content in prosody.files(module):
            (modules / path).parent.mkdir(parents=True, exist_ok=True)
            (modules / path).write_bytes(content)
        (modules / _OWN_MODULE.name).write_bytes(_OWN_MODULE.read_bytes())
        config = self._directory / "prosody.cfg.lua"
        config.touch(mode=0o600)
        config.write_text(self._configuration())

    def _configuration(self) -> str:
        if self.neighbours is not None:
            return federated_configuration(self.hosting, self.address, self._directory, self.neighbours)
        return configuration(self.hosting, self.address, self._directory)

    @override
    def _command(self) -> list[str]:
        return [_program(), "--config", str(self._directory / "prosody.cfg.lua"), "-F"]

    @override
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "HOME": str(self._directory)}


def configuration(hosting: Hosting, address: str, directory: Path) -> str:
    """Return the text of ``prosody.cfg.lua`` of a server with all its files in *directory*."""
    creators = lua_list([hosting.component, *hosting.creators])
    options = f'admins = {creators}\n  modules_enabled = {{ "pubsub_authorize" }}\n  pubsub_max_items = {MAX_ITEMS}'
    names = {
        "domains": "\n".join(f"VirtualHost {lua_text(domain)}" for domain in hosting.domains),
        "brokers": "\n".join(f'Component {lua_text(broker)} "pubsub"\n  {options}' for broker in hosting.brokers),
        "component": lua_text(hosting.component),
        "secret": lua_text(hosting.secret),
        "address": lua_text(address),
        "directory": lua_text(str(directory)),
    }
    numbers = {"client_port": CLIENT_PORT, "component_port": COMPONENT_PORT, "max_stanza_bytes": MAX_STANZA_BYTES}
    return Template(_TEMPLATE.read_text()).substitute(names, **numbers)


def federated_configuration(hosting: Hosting, address: str, directory: Path, neighbours: Neighbours) -> str:
    """Return the text of ``prosody.cfg.lua`` of a server that federates with its *neighbours*."""
    components, secret = (hosting.component, *hosting.others), lua_text(hosting.secret)
    options = [name for name, wanted in (("dialback", hosting.dialback), ("s2s_bidi", hosting.bidi)) if wanted]
    names = {
        "domains": "\n".join(f"VirtualHost {lua_text(domain)}" for domain in hosting.domains),
        "rooms": "\n".join(f'Component {lua_text(host)} "muc"\n  muc_room_locking = false' for host in hosting.rooms),
        "component": lua_text(hosting.component),
        "components": "\n".join(f"Component {lua_text(name)}\n  component_secret = {secret}" for name in components),
        "address": lua_text(address),
        "directory": lua_text(str(directory)),
        "options": "".join(f", {lua_text(name)}" for name in options),
        "exempt": lua_list(hosting.exempt),
        "doors": "".join(f"[{lua_text(name)}] = {lua_list([key])}; " for name, key in hosting.doors),
        "secure_auth": "false" if hosting.dialback else "true",
        "name_server": lua_text(f"{neighbours.names.address}@{neighbours.names.port}"),
        "authority": lua_text(AUTHORITY_FILE),
        "certificate": lua_text(CERTIFICATE_FILE),
        "key": lua_text(KEY_FILE),
    }
    numbers = {"client_port": CLIENT_PORT, "component_port": COMPONENT_PORT, "s2s_port": S2S_PORT, "max_stanza_bytes": MAX_STANZA_BYTES}
    return Template(_FEDERATED.read_text()).substitute(names, **numbers)


def lua_text(text: str) -> str:
    """Return *text* as a string of Lua that cannot mean anything else (Lua 5.4 manual, section 3.1)."""
    return '"' + "".join(chr(byte) if chr(byte) in _PLAIN else f"\\{byte:03d}" for byte in text.encode()) + '"'


def lua_list(texts: Iterable[str]) -> str:
    """Return *texts* as a list of Lua."""
    return "{ " + ", ".join(lua_text(text) for text in texts) + " }"


def is_installed() -> bool:
    """Whether this machine has the Debian package `prosody`."""
    return shutil.which("prosody") is not None


def _program() -> str:
    found = shutil.which("prosody")
    if found is None:
        raise MissingPackage("`prosody` is not installed", mend="apt-get install --no-install-recommends prosody")
    return found


def _file_name(name: str) -> str:
    """Return how Prosody writes *name* in its data folder: all but letters and digits as %xx (util.datamanager)."""
    return "".join(chr(byte) if chr(byte) in _NAME else f"%{byte:02x}" for byte in name.encode())
