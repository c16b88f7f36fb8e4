"""What holds for every command: help, errors, JSON, hostile text, terminals, signals."""

from __future__ import annotations

import ast
import inspect
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearinghouse import __version__
from clearinghouse.cli.main import MODULES, registered
from tests.cli.conftest import ANN, Command

OURS = ("keygen", "sign", "verify", "lint", "inspect", "query", "explain", "fmt", "conformance")
COMMANDS = {
    command.name or command.callback.__name__: command.callback
    for module in MODULES
    for command in registered(module).registered_commands
    if command.callback
}
ASK = ("--policy", "topic.kn", "--credential", "ann.kn", "--authorizer", ANN.principal, "--attribute", "operation=subscribe")
ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e\u200b\x85\r"
HOSTILE = f'Authorizer: "{ESCAPES}"\nLicensees: "{ESCAPES}"\nComment: {ESCAPES}\nConditions: x == "{ESCAPES}" -> "{ESCAPES}";\n'


def program(*words: str, **settings: str) -> tuple[list[str], dict[str, str]]:
    """Return how to start the command line as a process of its own, and in which environment."""
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    return [sys.executable, "-m", "clearinghouse", *words], environment | {"TERM": "xterm-256color", "COLUMNS": "80"} | settings


# -- help ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", OURS)
def test_help_is_a_page_with_an_example_and_the_exit_status(run: Command, command: str) -> None:
    page = run(command, "--help")
    assert page.status == 0
    assert page.out.startswith(f"Usage: clearinghouse {command} ")
    assert f"  clearinghouse {command} " in page.out
    assert "Exit status: 0 " in page.out
    assert all(len(line) <= 80 for line in page.out.splitlines())
    assert run(command, "-h").out == page.out


@pytest.mark.parametrize("module", MODULES)
def test_each_module_has_the_commands_that_it_is_said_to_have(module: str) -> None:
    found = registered(module)
    groups = [each.name or each.typer_instance.info.name for each in found.registered_groups if each.typer_instance]
    commands = [each.name or each.callback.__name__ for each in found.registered_commands if each.callback]
    assert set(MODULES[module]) == {*groups, *commands}


def test_the_list_of_commands(run: Command) -> None:
    page = run("--help")
    assert run() == page
    assert all(f"\n  {command} " in page.out for command in OURS)
    rows = [line for line in page.out.splitlines() if line.split(maxsplit=1)[:1] in [[command] for command in OURS]]
    assert len(rows) == len(OURS)
    assert not any("..." in row for row in rows)


@pytest.mark.parametrize("name", OURS)
def test_commands_are_small(name: str) -> None:
    """A command reads its options and hands on; what is done stands in a module without options."""
    [function] = ast.parse(textwrap.dedent(inspect.getsource(COMMANDS[name]))).body
    assert isinstance(function, ast.FunctionDef)
    statements = function.body[1:]
    assert (statements[-1].end_lineno or 0) - statements[0].lineno + 1 <= 12


# -- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words,command,said",
    [
        (("quer",), "quer", "no such command 'quer'"),
        (("query",), "query", "missing option '--policy'"),
        (("query", "--colour", "red"), "query", "no such option: --colour"),
        (("verify",), "verify", "missing argument 'FILE...'"),
        (("keygen", "a", "b"), "keygen", "unexpected extra argument"),
        (("keygen", "a", "--bits", "many"), "keygen", "'--bits'"),
        (("--colour",), "", "no such option: --colour"),
    ],
    ids=" ".join,
)
def test_usage_errors_are_errors_like_all_others(run: Command, words: tuple[str, ...], command: str, said: str) -> None:
    found = run(*words)
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith("error: ")
    assert said in found.err
    assert "--help` lists what there is" in found.err
    told = run(*words, "--json")
    assert (told.status, told.json["command"], told.json["ok"], told.json["error"]["code"]) == (2, command, False, "bad-settings")


@pytest.mark.parametrize(
    "words",
    [
        ("keygen", "hub.key"),
        ("sign", "--key", "hub.key", "broken.kn"),
        ("verify", "broken.kn"),
        ("lint", "broken.kn"),
        ("inspect", "absent.key"),
        ("query", "--policy", "broken.kn", "--authorizer", "x"),
        ("explain", "--policy", "topic.kn", "--authorizer", "POLICY"),
        ("fmt", "broken.kn"),
        ("conformance", "absent.jsonl"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_answers_with_one_json_object(run: Command, words: tuple[str, ...]) -> None:
    told = run(*words, "--json")
    assert told.status in {1, 2}
    assert list(told.json)[:3] == ["schema", "command", "ok"]
    assert (told.json["schema"], told.json["command"], told.json["ok"]) == ("clearinghouse/1", words[0], False)
    assert told.err == ""
    assert told.out.isascii()


# -- hostile text -------------------------------------------------------------------------------------

TOLD = (
    ("verify", "hostile.kn"),
    ("lint", "hostile.kn"),
    ("inspect", "hostile.kn"),
    ("fmt", "--diff", "hostile.kn"),
    ("sign", "--key", "hub.key", "hostile.kn"),
    ("query", "--policy", "hostile.kn", "--authorizer", "x"),
    ("explain", "--policy", "topic.kn", "--policy", "hostile.kn", "--authorizer", ESCAPES, "--attribute", f"x={ESCAPES}", "--all"),
    ("query", *ASK, "--values", f"{ESCAPES},b", "--attribute", f"topic={ESCAPES}"),
    ("explain", *ASK, "--values", f"{ESCAPES},b", "--attribute", f"topic={ESCAPES}"),
    ("query", *ASK, "--now", ESCAPES),
    ("query", *ASK, "--attribute", ESCAPES),
    ("inspect", ESCAPES + ":"),
    ("verify", ESCAPES),
    ("keygen", ESCAPES + "/x"),
    ("conformance", "hostile.kn"),
    (ESCAPES,),
    ("--" + ESCAPES,),
)


@pytest.mark.parametrize("words", TOLD, ids=[f"{number}-{words[0][:8]!r}" for number, words in enumerate(TOLD)])
@pytest.mark.parametrize("text", [HOSTILE, HOSTILE.replace("\r", ""), HOSTILE.replace("==", "=")], ids=["return", "parsed", "broken"])
def test_nothing_shown_can_move_the_terminal(run: Command, desk: Path, words: tuple[str, ...], text: str) -> None:
    (desk / "hostile.kn").write_text(text)
    (desk / ESCAPES).write_text(text)
    found = run(*words)
    shown = (found.out + found.err).replace("\n", "").replace("\t", "")
    assert [character for character in shown if not character.isprintable()] == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.sampled_from(
            [
                "query",
                "lint",
                "sign",
                "inspect",
                "fmt",
                "--json",
                "--policy",
                "--key",
                "hub.key",
                "-",
                "--values",
                "",
                "=",
                "ann.kn",
                "--all",
            ]
        ),
        max_size=6,
    ),
    text=st.binary(max_size=60) | st.text('AuthorizeLicns:"=&|;()>\n x#1', max_size=60).map(str.encode),
)
def test_no_words_and_no_bytes_end_in_a_traceback(run: Command, words: list[str], text: bytes) -> None:
    assert run(*words, given=text).status in {0, 1, 2}


# -- a process of its own -----------------------------------------------------------------------------


def in_terminal(*words: str, **settings: str) -> str:
    """Return what a terminal of 80 columns shows."""
    command, environment = program(*words, **settings)
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert process.wait() in {0, 1}
    os.close(ours)
    return shown.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # the other side is closed
        return b""


def test_a_terminal_has_colours_unless_they_are_not_wanted(desk: Path) -> None:
    assert "\x1b[32m" in in_terminal("verify", str(desk / "ann.kn"))
    plain = in_terminal("verify", str(desk / "ann.kn"), NO_COLOR="1")
    assert "\x1b[3" not in plain
    assert "✔" in plain


def test_messages_are_broken_at_words_in_a_terminal(desk: Path) -> None:
    shown = in_terminal("lint", str(desk / "broken.kn"), NO_COLOR="1", TERM="dumb")
    assert all(len(line) <= 80 for line in shown.replace(str(desk), "").split("\r\n"))


def test_a_terminal_without_unicode_gets_plain_marks(desk: Path) -> None:
    command, environment = program("explain", *ASK, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    shown = subprocess.run(command, capture_output=True, env=environment, cwd=desk, check=False)
    assert shown.returncode == 1
    assert b"x policy" in shown.stdout
    assert shown.stdout.isascii()


def test_control_c_ends_a_command_without_a_word() -> None:
    command, environment = program("conformance", "-")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        process.stdin.write(b" " * 200_000)  # more than a pipe holds, so that it is being read when this returns
        process.stdin.flush()
        _, said = _interrupt(process)
    assert (process.returncode, said) == (130, b"")


def _interrupt(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Press Ctrl-C until the process ends: between two reads Python notices a signal with the next one only."""
    for _ in range(10):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=3)
    process.kill()
    return process.communicate()


def test_a_reader_that_goes_away_is_no_accident(desk: Path) -> None:
    command, environment = program("inspect", str(desk / "topic.kn"))
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    assert ended.returncode == 1
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("redirection,status", [("<&-", 2), (">&-", 0), ("2>&-", 0), (">/dev/full", 2)], ids=["in", "out", "err", "full"])
def test_standard_streams_may_be_missing_or_full(desk: Path, redirection: str, status: int) -> None:
    command, environment = program("verify", "-" if redirection == "<&-" else "ann.kn")
    shell = f"{shlex.join(command)} {redirection}"
    ended = subprocess.run(["sh", "-c", shell], capture_output=True, env=environment, cwd=desk, stdin=subprocess.DEVNULL, check=False)
    assert ended.returncode == status
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["words", "json"])
@pytest.mark.parametrize("name", ["ann.kn", "absent.kn"])
def test_an_answer_that_nobody_takes_is_called_that(desk: Path, name: str, more: tuple[str, ...]) -> None:
    command, environment = program("inspect", name, *more)
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment, cwd=desk, check=False)
    assert ended.returncode == 2
    assert b"Traceback" not in ended.stderr
    assert (b"the answer cannot be written (No space left on device)" in ended.stderr) is (name == "ann.kn" or bool(more))


def test_the_version_is_that_of_the_package(run: Command) -> None:
    found = run("--version")
    assert (found.status, found.out) == (0, f"clearinghouse {__version__}\n")


def test_a_path_that_the_system_refuses_is_named(run: Command) -> None:
    found = run("keygen", "absent/folder/hub.key", "--json")
    assert found.status == 2
    assert "absent/folder" in found.json["error"]["message"]


def test_the_answer_of_a_process_is_the_answer_of_the_function(run: Command, desk: Path) -> None:
    command, environment = program("verify", "ann.kn", "--json")
    ended = subprocess.run(command, capture_output=True, env=environment, cwd=desk, check=True)
    assert json.loads(ended.stdout) == run("verify", "ann.kn", "--json").json
