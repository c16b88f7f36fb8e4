"""Published KeyNote cases that contradict each other, and how they are judged (decision 6)."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Erratum:
    """One case, named by its id and a digest of its content, with the expectation that agrees with the others."""

    id: str
    digest: str
    expect: str
    because: str


def erratum_of(case: Mapping[str, Any]) -> Erratum | None:
    """Return the erratum of exactly this case, or ``None``: one that differs in anything is judged as it stands."""
    known = _errata().get(str(case.get("id")))
    return known if known is not None and known.digest == digest_of(case) else None


def digest_of(case: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a case as JSON with sorted keys and no blanks."""
    written = json.dumps(case, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _errata() -> Mapping[str, Erratum]:
    source = resources.files("clearinghouse.cli").joinpath("errata.toml").read_text(encoding="utf-8")
    return {row["id"]: Erratum(**row) for row in tomllib.loads(source)["erratum"]}
