# ruff: noqa: INP001, T201 - a script beside its data: no package, and it speaks to who runs it
"""Sign the example credentials with the demonstration keys, and write the list of those keys.

usage: python credentials/make.py            write what is not as it should be
       python credentials/make.py --check    write nothing, name what would change, exit status 1 if anything
       python credentials/make.py --keys DIR write the private keys, marked as demonstrations, mode 0600

To change a credential, edit its text and run this: every text between quotation marks after a name
in Local-Constants becomes the principal of the demonstration key with that name, and the Signature
field is made anew by the key that Authorizer names.  Ed25519 signatures have no random part, so an
unchanged text keeps its bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from clearinghouse.demo.keys import demonstration_key
from clearinghouse.keynote import signatures, signing
from clearinghouse.keynote.keys import DEMO_MARK, write_key_file

ROOT = Path(__file__).resolve().parents[1]
CREDENTIALS = ROOT / "credentials"
KEY_LIST = CREDENTIALS / "demo-keys.toml"

_CONSTANT = re.compile(r'\b([A-Za-z]\w*) = "ed25519-hex:[0-9a-f]*"')
_AUTHORIZER = re.compile(r"^Authorizer: (\w+)$", re.MULTILINE)
_SIGNATURE = re.compile(r"^Signature:.*\Z", re.MULTILINE | re.DOTALL)

SPOILT = {
    "mistakes/demo/unsigned.kn": ("demo/members.kn", _SIGNATURE.pattern, ""),
    "mistakes/demo/tampered.kn": ("demo/former.kn", r'date < "20260101"', 'date < "20360101"'),
    "mistakes/paper-section-4/tampered.kn": ("paper-section-4/alice.kn", r"192\.168\.40\.55", "192.168.40.66"),
}
"""Made from a good credential by one change after it was signed."""

FORGED = {"mistakes/demo/self-made.kn": "Mallory"}
"""Signed by another key than the authorizer's."""


def main(arguments: list[str]) -> int:
    """Do what the usage says and return the exit status."""
    match arguments:
        case []:
            for path, text in changes():
                path.write_text(text)
                print(f"written: {path.relative_to(ROOT)}")
            return 0
        case ["--check"]:
            found = [path for path, _ in changes()]
            print(*(f"would change: {path.relative_to(ROOT)}" for path in found), sep="\n", end="\n" if found else "")
            return 1 if found else 0
        case ["--keys", directory]:
            write_keys(Path(directory))
            return 0
        case _:
            print(__doc__)
            return 2


def changes() -> Iterator[tuple[Path, str]]:
    """Yield each file that is not as it should be, with what should be in it."""
    for path, text in wanted():
        if not path.exists() or path.read_text() != text:
            yield path, text


def wanted() -> Iterator[tuple[Path, str]]:
    """Yield every file that this script makes, with its text."""
    for path in sorted((ROOT / "policies").rglob("*.kn")):
        yield path, _filled(path.read_text())
    spoilt = {CREDENTIALS / name for name in SPOILT}
    made = {path: _signed(path) for path in sorted(CREDENTIALS.rglob("*.kn")) if path not in spoilt}
    yield from made.items()
    for name, (original, pattern, replacement) in SPOILT.items():
        yield CREDENTIALS / name, re.sub(pattern, replacement, made[CREDENTIALS / original], flags=re.MULTILINE | re.DOTALL)
    yield KEY_LIST, _key_list()


def _filled(text: str) -> str:
    return _CONSTANT.sub(lambda found: f'{found[1]} = "{demonstration_key(found[1]).principal}"', text)


def _signed(path: Path) -> str:
    unsigned = _SIGNATURE.sub("", _filled(path.read_text())).encode()
    forger = FORGED.get(path.relative_to(CREDENTIALS).as_posix())
    if forger:
        return f'{unsigned.decode()}Signature: "{signatures.sign(unsigned, demonstration_key(forger))}"\n'
    author = _AUTHORIZER.search(unsigned.decode())
    if author is None:
        raise SystemExit(f"{path}: Authorizer names no constant")
    return signing.sign(unsigned, demonstration_key(author[1])).decode()


def _names() -> list[str]:
    """Return the names of the keys that policies and credentials use."""
    texts = [path.read_text() for folder in ("policies", "credentials") for path in (ROOT / folder).rglob("*.kn")]
    return sorted({*FORGED.values(), *(name for text in texts for name in _CONSTANT.findall(text))})


def _key_list() -> str:
    rows = [f'{name} = "{demonstration_key(name).principal}"' for name in _names()]
    return "\n".join([DEMO_MARK, "# Written by credentials/make.py; the scenario files call principals by these names.", *rows, ""])


def write_keys(directory: Path) -> None:
    """Write ``NAME.pem`` for each key; a file that exists is left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in _names():
        path = directory / f"{name}.pem"
        if not path.exists():
            write_key_file(path, demonstration_key(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
