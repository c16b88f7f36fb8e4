"""All checks; a further module with checks is one more name here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from clearinghouse.doctor import catalogue, ejabberd_checks, ground_checks, prosody_checks, redirect_checks, running_checks

MODULES: Final = (ground_checks, prosody_checks, ejabberd_checks, running_checks, redirect_checks)
"""Loading them has added their checks."""

ALL: Final[Mapping[str, catalogue.Check]] = MappingProxyType(dict(sorted(catalogue.CHECKS.items())))
"""Every check, by its id and in that order."""
