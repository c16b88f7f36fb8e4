from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from clearinghouse.signer.hardening import dumpable, harden
before = dumpable()
harden()
print(before, dumpable())
"""


def test_a_hardened_process_cannot_be_looked_into() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
