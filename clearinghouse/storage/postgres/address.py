"""Which database of which server, and what the errors of its driver mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typing_extensions import override

from clearinghouse.errors import BadSettings
from clearinghouse.keynote.private_files import PrivateFile, read_private
from clearinghouse.storage.site import Site

MAX_URL_BYTES: Final = 4_096
"""Bytes of the file with the URL; one that names three hosts, certificates and a password has 400."""

CONNECT_SECONDS: Final = 2
"""How long one attempt to connect may take, whole seconds: the least that libpq takes."""

ANSWER_SECONDS: Final = 5.0
"""How long the server may be silent while it is asked; more than it may wait for a lock or work on a statement."""

_WANTED: Final = PrivateFile("URL file", "write the URL of the database into it, mode 0600", MAX_URL_BYTES)
_NEEDED: Final = ("host", "user", "dbname")
_DEFAULTS: Final = MappingProxyType({"port": "5432", "options": "", "target_session_attrs": "any"})
"""What a URL does not say is said here: libpq would look into the environment, which cannot change where the store is."""

_SCHEMES: Final = ("postgresql://", "postgres://")
_FORM: Final = "write one line like `postgresql://clearinghouse:PASSWORD@db.example/clearinghouse?sslmode=verify-full` into it"

_MENDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "08": "see that PostgreSQL runs, and that it can be reached",
        "28": "mend role and password in the URL, or let the role in (pg_hba.conf)",
        "3D": "make the database, or name another one in the URL",
        "25006": "name the primary in the URL: this one is a standby, or may only be read",
        "40": "ask again",
        "42501": "let the role of the URL own the database's tables, or do what a node does (how-to/operate.md)",
        "53100": "make room on its disk",
        "53300": "let it take more connections (max_connections), or end some",
        "53": "give its machine what it lacks",
        "55P03": "another node has held the log for too long: see whether it hangs, and ask again",
        "57014": "it was too slow: look at its load and its disk, and ask again",
        "57": "it was ended or starts: ask again",
        "58": "look at its disk and at its machine's log",
        "XX": "look at its log; if it is damaged, restore it from a backup",
    }
)
"""What to do, by how the code of an error begins (PostgreSQL's manual, appendix A); the longest that fits is taken."""

_UNREACHED: Final = "start PostgreSQL, or mend host, port and certificates in the URL"
_REFUSED: Final = "mend role, password and database in the URL, or let the role in (pg_hba.conf)"


@dataclass(frozen=True, slots=True)
class Address(Site):
    """A database; ``options`` are libpq's, of which the password is told to nobody.

    ``patience`` is for how many seconds the server may be silent while it is asked.
    """

    raised = (psycopg.Error,)
    ours = (errors.IntegrityError, errors.DataError, errors.ProgrammingError, errors.InterfaceError, errors.NotSupportedError)

    options: Mapping[str, str] = field(repr=False)
    patience: float = ANSWER_SECONDS

    @classmethod
    def of(cls, url: str) -> Address:
        """Return the database that a libpq URL names; raises `BadSettings`, which tells nothing of the URL."""
        try:
            if not url.startswith(_SCHEMES):
                raise BadSettings("the URL of the store is none of PostgreSQL's", mend=_FORM)
            found = {name: str(value) for name, value in conninfo_to_dict(url).items() if value}
        except psycopg.Error:
            raise BadSettings("the URL of the store cannot be read", mend=_FORM) from None
        if lacking := [name for name in _NEEDED if name not in found]:
            raise BadSettings(f"the URL of the store names no {lacking[0]}", mend=_FORM)
        near = all(_is_near(host) for host in found["host"].split(","))
        return cls({**_DEFAULTS, "sslmode": "prefer" if near else "verify-full", **found})

    @classmethod
    def read(cls, path: Path) -> Address:
        """Return the database whose URL stands in the file at *path*; raises `BadSettings`, and `UnsafeFile`."""
        try:
            url = read_private(path, _WANTED).decode().strip()
        except UnicodeDecodeError:
            url = ""
        return cls.of(url)

    @property
    @override
    def name(self) -> str:
        """See `Site.name`: host, port and database."""
        return "postgresql://{host}:{port}/{dbname}".format_map(self.options)

    def conninfo(self) -> str:
        """Return what a connection is made with."""
        ours = {"application_name": "clearinghouse", "client_encoding": "UTF8", "connect_timeout": str(CONNECT_SECONDS)}
        return make_conninfo("", **ours | {**self.options})

    @override
    def mend(self, error: BaseException) -> str:
        """See `Site.mend`."""
        state = error.sqlstate if isinstance(error, psycopg.Error) else None
        if state is not None:
            fitting = [begin for begin in _MENDS if state.startswith(begin)]
            return _MENDS[max(fitting, key=len)] if fitting else "see the message, and PostgreSQL's log"
        if isinstance(error, errors.OperationalError):
            # Of a connection that was not made only the text tells why, and it is in the server's language.
            return _REFUSED if (error.pgconn is not None and error.pgconn.used_password) or "FATAL" in str(error) else _UNREACHED
        return "see the message, and PostgreSQL's log"

    @override
    def replayed(self, error: BaseException | None) -> bool:
        """See `Site.replayed`."""
        if not isinstance(error, psycopg.Error):
            error = getattr(error, "orig", None)
        return isinstance(error, errors.UniqueViolation) and error.diag.table_name == "seen"


def _is_near(host: str) -> bool:
    """Say whether what goes to *host* stays on this machine."""
    try:
        return host.startswith("/") or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
