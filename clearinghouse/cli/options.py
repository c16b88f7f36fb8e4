"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
Sources = Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, folders of .kn files, - for standard input, or text.")]
Legacy = Annotated[bool, typer.Option("--allow-legacy", help="Accept SHA-1, MD5, DSA and short RSA keys.")]
Passphrase = Annotated[Path | None, typer.Option("--passphrase-file", metavar="FILE", help="A file whose first line opens the key.")]
Demo = Annotated[bool, typer.Option("--allow-demo", help="Accept a demonstration key, which everybody has.")]
Attributes = Annotated[list[str] | None, typer.Option("--attribute", metavar="NAME=VALUE", help="An action attribute; may be repeated.")]
Now = Annotated[str | None, typer.Option("--now", metavar="TIME", help="The time to decide for, as in 2026-11-20T12:00:00Z.")]
