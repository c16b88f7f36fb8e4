"""``root``: key ceremonies. Root metadata drafted, signed by people who each hold one key, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Demo, Json, Passphrase

INIT = """
\b
Examples:
  clearinghouse root init --community csirt-net --root ann.pub --root bob.pub \\
    --root eve.pub --threshold 2 --table table.pub --timestamp stamp.pub \\
    --revoker revoker.pub --registrar registrar.pub -o draft.json

\b
Exit status: 0 written; 2 the plan cannot be met, or the file exists.
"""
SIGN = """
\b
Examples:
  clearinghouse root sign draft.json --key ann.key
  clearinghouse root sign draft.json --key ann.key -o draft-ann.json

\b
Exit status: 0 signed, or shown; 2 there is nothing for this key to sign, or
the file cannot be used.
"""
COMBINE = """
\b
Examples:
  clearinghouse root combine draft-ann.json draft-bob.json -o draft.json

\b
Exit status: 0 written; 2 the files do not belong together.
"""
ROTATE = """
\b
Examples:
  clearinghouse root rotate 1.json -o draft-2.json
  clearinghouse root rotate 1.json --table new-table.pub --new-epoch -o draft-2.json

\b
Exit status: 0 written; 2 the plan cannot be met, or the file exists.
"""
REVOKE = """
\b
Examples:
  clearinghouse root revoke --community csirt-net --principal table.pub \\
    --key revoker.key -o revocations-1.json
  clearinghouse root revoke revocations-1.json --credential 5f1c... \\
    --key revoker.key -o revocations-2.json

\b
Exit status: 0 written; 2 a file or key cannot be used, or the file exists.
"""
SHOW = """
\b
Examples:
  clearinghouse root show 1.json
  clearinghouse root show draft.json --json

\b
Exit status: 0 shown; 2 it cannot be read.
"""
VERIFY = """
\b
Examples:
  clearinghouse root verify 1.json
  clearinghouse root verify 1.json 2.json 3.json --pin 5f1c...

\b
Exit status: 0 all of it holds; 1 something does not, and is named; 2 a file
cannot be read.
"""

File = Annotated[Path, typer.Argument(metavar="FILE", help="A draft, or sealed root metadata.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write it; never overwrites.")]
Roots = Annotated[list[str] | None, typer.Option("--root", metavar="KEY", help="A root's public key, or its file; repeatable.")]
Threshold = Annotated[int | None, typer.Option(min=1, metavar="N", help="How many roots have to sign together.")]
Table = Annotated[list[str] | None, typer.Option("--table", metavar="KEY", help="A key that signs tables; repeatable.")]
Stamp = Annotated[list[str] | None, typer.Option("--timestamp", metavar="KEY", help="A key that signs timestamps; repeatable.")]
Revoker = Annotated[list[str] | None, typer.Option("--revoker", metavar="KEY", help="A key that signs revocation sets; repeatable.")]
Registrar = Annotated[list[str] | None, typer.Option("--registrar", metavar="KEY", help="A key that signs members' records; repeatable.")]
Grant = Annotated[list[str] | None, typer.Option("--grant", metavar="KEY", help="A key that signs grants; repeatable; may be left out.")]
Needs = Annotated[list[str] | None, typer.Option("--needs", metavar="ROLE=N", help="Keys of a role that sign together, as table=2.")]
Days = Annotated[int, typer.Option(min=1, max=3_660, metavar="N", help="Days that the root metadata lives.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    root = typer.Typer(
        help="Key ceremonies: draft, sign, combine, rotate, show and verify root metadata; revoke by hand.", rich_markup_mode=None
    )
    for page, name, command in (
        (INIT, "init", init),
        (SIGN, "sign", sign),
        (COMBINE, "combine", combine),
        (ROTATE, "rotate", rotate),
        (REVOKE, "revoke", revoke),
        (SHOW, "show", show),
        (VERIFY, "verify", verify),
    ):
        root.command(name, epilog=page)(command)
    app.add_typer(root, name="root")


def init(  # noqa: PLR0913, PLR0917 - one option for each role
    community: Annotated[str, typer.Option(metavar="NAME", help="The community that the roots are of.")],
    output: Output,
    root: Roots = None,
    threshold: Threshold = None,
    table: Table = None,
    timestamp: Stamp = None,
    revoker: Revoker = None,
    registrar: Registrar = None,
    grant: Grant = None,
    needs: Needs = None,
    days: Days = 365,
    json: Json = False,
) -> None:
    """Draft the first root metadata of a community from public keys.

    No private key is needed: every root signs the draft on a machine of its own. The first generation is
    told to every agent by its digest, so make it once.
    """
    from clearinghouse.cli import root_ceremony as ceremony  # noqa: PLC0415 - as in `serve`

    held = {"table": table, "timestamp": timestamp, "revoker": revoker, "registrar": registrar, "grant": grant}
    ceremony.init(community, ceremony.Holders(root, threshold, held, needs or []), days, output, json=json)


def sign(
    file: File,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The key file of one root.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Sign, and write it there; never overwrites.")
    ] = None,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Sign what this root has to sign, and only show it without -o.

    Of a draft, first the role credentials; once enough roots have vouched for every role, the root metadata
    that it becomes. Root metadata that others have signed gets one signature more.
    """
    from clearinghouse.cli import reading, root_ceremony  # noqa: PLC0415 - as in `serve`

    root_ceremony.sign(file, reading.private_key(key, passphrase_file, allow_demo=allow_demo), output, json=json)


def combine(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Copies of one draft, or of one root metadata.")],
    output: Output,
    json: Json = False,
) -> None:
    """Put the signatures together that were made on copies of one file."""
    from clearinghouse.cli import root_ceremony  # noqa: PLC0415 - as in `serve`

    root_ceremony.combine(files, output, json=json)


def rotate(  # noqa: PLR0913, PLR0917 - one option for each role
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="The sealed root metadata in force.")],
    output: Output,
    root: Roots = None,
    threshold: Threshold = None,
    table: Table = None,
    timestamp: Stamp = None,
    revoker: Revoker = None,
    registrar: Registrar = None,
    grant: Grant = None,
    needs: Needs = None,
    days: Days = 365,
    new_epoch: Annotated[bool, typer.Option("--new-epoch", help="A key was stolen: agents forget what was published before.")] = False,
    json: Json = False,
) -> None:
    """Draft the next generation of root metadata.

    Who is named by an option takes the place of all who held that role; the other roles stay with their
    keys. Every role credential is signed anew. The roots of both generations have to sign the result.
    """
    from clearinghouse.cli import root_ceremony as ceremony  # noqa: PLC0415 - as in `serve`

    held = {"table": table, "timestamp": timestamp, "revoker": revoker, "registrar": registrar, "grant": grant}
    ceremony.rotate(current, ceremony.Holders(root, threshold, held, needs or []), days, output, new_epoch=new_epoch, json=json)


def revoke(  # noqa: PLR0913, PLR0917 - one option for each list
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The revoker's key file.")],
    output: Output,
    previous: Annotated[Path | None, typer.Argument(metavar="PREVIOUS", help="The set before this one; all of it stays revoked.")] = None,
    principal: Annotated[list[str] | None, typer.Option(metavar="KEY", help="A key or name that counts for nothing; repeatable.")] = None,
    credential: Annotated[list[str] | None, typer.Option(metavar="ID", help="A credential that no longer counts; repeatable.")] = None,
    below: Annotated[list[str] | None, typer.Option(metavar="KEY", help="A key none of whose delegations holds; repeatable.")] = None,
    community: Annotated[str, typer.Option(metavar="NAME", help="The community, where there is no set before this one.")] = "",
    epoch: Annotated[int, typer.Option(min=0, metavar="N", help="The epoch: that of PREVIOUS, or 1, unless it is given.")] = 0,
    days: Annotated[int, typer.Option(min=1, max=366, metavar="N", help="Days after which agents make no new grants by it.")] = 7,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Sign the next revocation set by hand.

    For a revoker whose key is not at the clearinghouse. Put the file into its root directory, where it is
    published with the next timestamp. What is revoked stays so: a set without it would be refused.
    """
    from clearinghouse.cli import reading, root_revocations  # noqa: PLC0415 - as in `serve`

    taken = root_revocations.Taken(principal or [], credential or [], below or [])
    signer = reading.private_key(key, passphrase_file, allow_demo=allow_demo)
    root_revocations.revoke(previous, taken, signer, (community, epoch), days, output, json=json)


def show(file: File, json: Json = False) -> None:
    """Show who holds which key of a community, and who has still to sign."""
    from clearinghouse.cli import root_pictures  # noqa: PLC0415 - as in `serve`

    root_pictures.show(file, json=json)


def verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Sealed root metadata, one generation after the other.")],
    pin: Annotated[str, typer.Option("--pin", metavar="SHA256", help="The digest of the first, as it was told to agents.")] = "",
    json: Json = False,
) -> None:
    """Check root metadata as an agent does: the first by its own policy, each after it by both."""
    from clearinghouse.cli import root_pictures  # noqa: PLC0415 - as in `serve`

    root_pictures.verify(files, pin, json=json)
