"""``query`` and ``explain``: one question to the engine, its answer, and the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli import principals, reading
from clearinghouse.cli.drawing import draw
from clearinghouse.cli.loading import Loaded, load
from clearinghouse.cli.options import Attributes, Json, Legacy, Now
from clearinghouse.cli.output import as_json, clean, error_json, finish, say, tell_error
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config
from clearinghouse.errors import BadQuery, BadSettings
from clearinghouse.keynote import Missing, Proof
from clearinghouse.keynote.clock import clock_attributes
from clearinghouse.keynote.octets import from_octets

_QUESTION = """
\b
Example:
  clearinghouse {command} --policy policies/demo --credential credentials/demo \\
    --authorizer xmpp:ann@members.example \\
    --authorizer xmpp-member:members.example \\
    --attribute operation=subscribe --attribute topic=incidents \\
    --values deny,ask,allow

\b
Exit status: 0 the strongest value; 1 any other value; 2 bad input, or no
policy could be loaded; 3 the work for one question was used up.
"""

_RECORDED = """
\b
Example of what was decided:
  clearinghouse explain 3f2a91c4 --config clearinghouse.toml

\b
"""

Policies = Annotated[list[str], typer.Option("--policy", metavar="FILE", help="Assertions that are trusted; may be repeated.")]
Credentials = Annotated[list[str] | None, typer.Option("--credential", metavar="FILE", help="Signed assertions; may be repeated.")]
Authorizers = Annotated[list[str], typer.Option("--authorizer", metavar="PRINCIPAL", help="Who asks: a principal, or a file with one.")]
File = Annotated[str | None, typer.Option("--attributes", metavar="FILE", help="A JSON object of action attributes.")]
Values = Annotated[str, typer.Option("--values", metavar="V,V,...", help="The compliance values, weakest first.")]


@dataclass(frozen=True, slots=True)
class Question:
    """The options of one question, in the order of its help."""

    policies: list[str]
    credentials: list[str]
    authorizers: list[str]
    attributes: list[str]
    file: str | None
    values: str
    now: str | None
    allow_legacy: bool

    def asked(self) -> Answer:
        """Load what there is, and ask; raises what :meth:`Assertions.query` does."""
        action = clock_attributes(reading.instant(self.now)) | reading.attributes(self.attributes, self.file)
        authorizers = [_requester(each) for each in self.authorizers]
        values = reading.values(self.values)
        loaded = load(self.policies, self.credentials, allow_legacy=self.allow_legacy)
        proof = loaded.assertions.query(authorizers=authorizers, action=action, values=values)
        return Answer(proof, loaded, action, values)


def _requester(argument: str) -> str:
    """Return who asks; refuses what no door lets ask (rule R9): the name would stand for nobody, or for several."""
    found = from_octets(principals.principal(argument))
    if not found:
        raise BadQuery("the empty name cannot request an action", mend="name the key or the user that asks")
    if "," in found:
        raise BadQuery(f"`{clean(found)}` has a comma, so it cannot request an action", mend="give `--authorizer` once for each who asks")
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """A proof, and what it was asked about."""

    proof: Proof
    loaded: Loaded
    action: dict[str, str]
    values: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return question, proof and the inputs that were left out, in the documented schema."""
        return {
            "values": list(self.values),
            "attributes": self.action,
            "proof": self.proof.as_json(),
            "errors": [error_json(problem) for problem in self.loaded.problems],
        }


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=_QUESTION.format(command="query"))(query)
    app.command(epilog=_RECORDED + _QUESTION.format(command="explain").lstrip().removeprefix("\b\n"))(explain)


def query(  # noqa: PLR0913, PLR0917 - each option is a parameter
    policy: Policies,
    authorizer: Authorizers,
    credential: Credentials = None,
    attribute: Attributes = None,
    attributes: File = None,
    values: Values = "deny,ask,allow",
    now: Now = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the value and nothing else.")] = False,
    allow_legacy: Legacy = False,
    json: Json = False,
) -> None:
    """Ask one question, and print the compliance value.

    Below the strongest value the nearest missing step is told on standard error. The attributes date
    and time are set from the clock unless they are given. A file that cannot be loaded is named and
    left out; the others count.
    """
    answer = Question(policy, credential or [], authorizer, attribute or [], attributes, values, now, allow_legacy).asked()
    if json:
        as_json("query", ok=answer.proof.strongest, value=answer.proof.value, **answer.as_json())
    else:
        _tell(answer, quiet=quiet)
    finish(ok=answer.proof.strongest)


def _tell(answer: Answer, *, quiet: bool) -> None:
    say(clean(answer.proof.value))
    if quiet:
        return
    for problem in answer.loaded.problems:
        tell_error(problem)
    for missing in answer.proof.missing:
        _tell_missing(missing)


def _tell_missing(missing: Missing) -> None:
    """Print one step on the line, several on lines of their own."""
    head = f"for `{clean(missing.value)}` is missing:"
    if len(missing.steps) == 1:
        say(f"{head} {clean(missing.steps[0].text)}", error=True)
        return
    say(head, error=True)
    for step in missing.steps:
        say(clean(step.text), error=True, indent=2)


def explain(  # noqa: PLR0913, PLR0917 - each option is a parameter
    identity: Annotated[str, typer.Argument(metavar="ID", help="A decision, case or grant of the service's, in place of a question.")] = "",
    policy: Annotated[
        list[str] | None, typer.Option("--policy", metavar="FILE", help="Assertions that are trusted; may be repeated.")
    ] = None,
    authorizer: Annotated[
        list[str] | None, typer.Option("--authorizer", metavar="PRINCIPAL", help="Who asks: a principal, or a file with one.")
    ] = None,
    credential: Credentials = None,
    attribute: Attributes = None,
    attributes: File = None,
    values: Values = "deny,ask,allow",
    now: Now = None,
    everything: Annotated[bool, typer.Option("--all", help="Draw also what does not lead to whoever asks.")] = False,
    allow_legacy: Legacy = False,
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """Draw what held and what failed, for a question or an ID.

    The delegations are drawn from POLICY down to who asks. Each assertion shows who is licensed, and
    the clause that gave its value or the parts of it that failed, with the values of the attributes.
    """
    if identity:
        _explain_recorded(config, identity, question=bool(policy or authorizer or credential or attribute or attributes), json=json)
        return
    trusted, asking = _given(policy, "--policy"), _given(authorizer, "--authorizer")
    answer = Question(trusted, credential or [], asking, attribute or [], attributes, values, now, allow_legacy).asked()
    if json:
        as_json("explain", ok=answer.proof.strongest, value=answer.proof.value, **answer.as_json())
    else:
        draw(answer.proof, answer.loaded, answer.values, everything=everything)
    finish(ok=answer.proof.strongest)


def _given(values: list[str] | None, option: str) -> list[str]:
    """Return what an option says that only a question needs."""
    if not values:
        raise BadSettings(f"missing option '{option}'", mend="`clearinghouse explain --help` lists what there is")
    return values


def _explain_recorded(config: Path, identity: str, *, question: bool, json: bool) -> None:
    if question:
        raise BadSettings("an id is given, and a question too", mend="give one of them")
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    deciding.explain(config, identity, json=json)
