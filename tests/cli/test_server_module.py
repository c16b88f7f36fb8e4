"""`server-module` writes the module of this package and no other's; that it works is tested with the servers."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clearinghouse.cli.main import app
from clearinghouse.enforcers import ejabberd, prosody

FOLDER = "mod_pubsub_authorize"


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, ["server-module", "prosody", *words])


def contents(directory: Path) -> dict[Path, bytes]:
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_every_file_of_the_module_is_written_and_readable_by_the_server(tmp_path: Path) -> None:
    result = run(str(tmp_path / "modules"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert contents(tmp_path / "modules") == dict(prosody.files())
    assert (tmp_path / "modules" / FOLDER / "mod_pubsub_authorize.lua").is_file()
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.lua")} == {0o644}


def test_lines_to_add_name_the_folder(tmp_path: Path) -> None:
    told = json.loads(run(str(tmp_path), "--json").stdout)
    assert f'plugin_paths = {{ "{tmp_path}" }}' in told["configuration"]
    assert 'modules_enabled = { "pubsub_authorize" }' in told["configuration"]
    assert set(map(Path, told["files"])) == {tmp_path / path for path, _ in prosody.files()}


def test_the_same_again_is_no_error(tmp_path: Path) -> None:
    assert [run(str(tmp_path)).exit_code for _ in range(2)] == [0, 0]
    assert contents(tmp_path) == dict(prosody.files())


@pytest.mark.parametrize("name", [path.name for path, _ in prosody.files()])
def test_other_files_are_replaced_only_by_force(tmp_path: Path, name: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / name).write_text("-- mine")
    refused = run(str(tmp_path))
    assert refused.exit_code == 2
    assert "is there already, and is another file" in refused.stderr
    assert contents(tmp_path) == {Path(FOLDER, name): b"-- mine"}
    assert run(str(tmp_path), "--force").exit_code == 0
    assert contents(tmp_path) == dict(prosody.files())


def test_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (tmp_path / "modules" / FOLDER).mkdir(parents=True)
    (tmp_path / "modules" / FOLDER / "mod_pubsub_authorize.lua").symlink_to(outside)
    assert run(str(tmp_path / "modules"), "--force").exit_code == 0
    assert outside.read_text() == "untouched"


def test_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "cannot be used" in result.stderr


def test_server_without_a_module_of_ours_is_refused() -> None:
    assert CliRunner().invoke(app, ["server-module", "openfire", "x"]).exit_code == 2


def test_a_server_that_federates_gets_the_other_module(tmp_path: Path) -> None:
    told = json.loads(run(str(tmp_path), "--for", "federation", "--json").stdout)
    assert 'modules_enabled = { "clearinghouse" }' in told["configuration"]
    assert f'plugin_paths = {{ "{tmp_path}" }}' in told["configuration"]
    assert contents(tmp_path) == dict(prosody.files(prosody.FEDERATION))
    assert (tmp_path / "mod_clearinghouse" / "mod_clearinghouse.lua").is_file()


def test_ejabberd_has_a_module_for_federation_only(tmp_path: Path) -> None:
    runner = CliRunner(env={"COLUMNS": "80"})
    refused = runner.invoke(app, ["server-module", "ejabberd", str(tmp_path), "--for", "broker"])
    assert refused.exit_code == 2
    assert "needs no module of ours" in refused.stderr
    assert contents(tmp_path) == {}
    told = json.loads(runner.invoke(app, ["server-module", "ejabberd", str(tmp_path), "--json"]).stdout)
    assert "mod_clearinghouse:" in told["configuration"]
    assert contents(tmp_path) == dict(ejabberd.files())
