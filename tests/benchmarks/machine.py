"""Where the figures come from: without it they mean nothing."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("pynacl", "cryptography", "lark", "google-re2", "biscuit-python", "cedarpy")


def machine() -> dict[str, str]:
    """Return processor, cores, memory, system, Python, packages and the day."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _first("/proc/meminfo", "MemTotal") or "unknown",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "load": " ".join(f"{each:.2f}" for each in os.getloadavg()),
    }


def _first(path: str, label: str) -> str:
    """Return what follows the first *label* in a file of ``label: value`` lines."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(label)), "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
