"""What is said of a door's files before the door is opened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clearinghouse.cli.main import app
from clearinghouse.federation.redirection.seen import Require
from clearinghouse.runtime.redirection.files import cautions, problems, spool_problems
from clearinghouse.settings.redirect import Fronted, Redirect
from tests.unit.doors.s2s.papers import DAY, NOW, Authority, Wish, curve_key

DOOR, MEMBER = "door.hub.example", "a.example"
LONG = Wish(ca=True, uses=(), ends=NOW + 900 * DAY)


@dataclass
class Files:
    """A door's files in *directory*, all of them good."""

    directory: Path
    authority: Authority

    def redirect(self, **others: object) -> Redirect:
        certificate, key = self.authority.paper(DOOR).save(self.directory, "door")
        (self.directory / "ca.pem").write_bytes(self.authority.pem)
        files = {"certificate_file": certificate, "key_file": key, "anchors_file": self.directory / "ca.pem"}
        return Redirect.model_validate({"name": DOOR} | files | others)

    def list_of(self, *authorities: Authority, until: int = 1) -> Path:
        path = self.directory / "lists.pem"
        path.write_bytes(b"".join(each.revoked(until=NOW + until * DAY) for each in authorities))
        return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, Authority(wish=LONG))


def test_good_files_are_no_problem_with_lists_or_without(files: Files) -> None:
    for revocations in (None, files.list_of(files.authority)):
        redirect = files.redirect(revocations_file=revocations)
        assert [*problems(redirect, NOW), *cautions(redirect, NOW)] == []


def test_a_certificate_for_another_name_is_a_problem(files: Files) -> None:
    [found] = problems(files.redirect(name="door2.hub.example"), NOW)
    assert "is not for `door2.hub.example`" in str(found)


def test_a_fronted_certificate_for_another_name_is_a_problem_and_each_one_a_caution(files: Files) -> None:
    certificate, key = files.authority.paper("b.example").save(files.directory, "a")
    redirect = files.redirect(fronted=(Fronted(domain=MEMBER, certificate_file=certificate, key_file=key),))
    [found] = problems(redirect, NOW)
    assert f"is not for `{MEMBER}`" in str(found)
    assert "can be that member towards everybody" in next(cautions(redirect, NOW))


def test_a_fronted_certificate_of_the_doors_own_key_is_a_problem(files: Files) -> None:
    key = curve_key()
    own, own_key = files.authority.paper(DOOR, key=key).save(files.directory, "own")
    theirs, same_key = files.authority.paper(MEMBER, key=key).save(files.directory, "theirs")
    fronted = (Fronted(domain=MEMBER, certificate_file=theirs, key_file=same_key),)
    [found] = problems(files.redirect(certificate_file=own, key_file=own_key, fronted=fronted), NOW)
    assert f"for `{MEMBER}` has the door's own key" in str(found)


def test_a_certificate_that_has_ended_is_a_problem_and_one_that_soon_will_a_caution(files: Files) -> None:
    redirect = files.redirect()
    [found] = problems(redirect, NOW + 31 * DAY)
    assert "holds from" in str(found)
    [told] = cautions(redirect, NOW + 29 * DAY)
    assert f"for `{DOOR}` ends at" in told


def test_a_revocation_list_that_has_ended_is_named_with_its_authority(files: Files) -> None:
    other = Authority("another one")
    redirect = files.redirect(revocations_file=files.list_of(files.authority, other, until=1))
    found = [str(each) for each in problems(redirect, NOW + 2 * DAY)]
    assert ["CN=authority" in found[0], "CN=another one" in found[1]] == [True, True]


def test_authorities_that_have_all_ended_are_a_problem_and_one_of_several_a_caution(files: Files) -> None:
    redirect = files.redirect()
    redirect.anchors_file.write_bytes(Authority("old").pem)
    later = NOW + 31 * DAY
    assert "every authority" in str(list(problems(redirect, later))[-1])
    redirect.anchors_file.write_bytes(files.authority.pem + Authority("old").pem)
    assert "every authority" not in "".join(map(str, problems(redirect, later)))
    assert "`CN=old`" in "".join(cautions(redirect, later))


def test_no_proof_is_a_caution(files: Files) -> None:
    [told] = cautions(files.redirect(require=Require.NOTHING), NOW)
    assert "`unproven`" in told


@pytest.mark.parametrize("name", ["door.pem", "door.key", "ca.pem"])
def test_a_file_that_is_not_there_is_named_with_its_setting(files: Files, name: str) -> None:
    redirect = files.redirect()
    (files.directory / name).unlink()
    [found] = problems(redirect, NOW)
    assert name in str(found)
    assert "[redirect]" in found.mend or "make it" in found.mend


def test_a_directory_for_the_spool_that_is_not_there_is_a_problem_of_a_node(files: Files) -> None:
    assert not list(spool_problems(files.redirect(spool_file=files.directory / "redirect.spool")))
    [found] = spool_problems(files.redirect(spool_file=files.directory / "nowhere" / "redirect.spool"))
    assert "nowhere`, is absent" in str(found)


def test_the_check_of_the_service_shows_the_door_whatever_else_is_missing(files: Files) -> None:
    files.redirect()
    for folder in ("policies", "credentials"):
        (files.directory / folder).mkdir()
    door = f'[redirect]\nname = "{DOOR}"\ncertificate_file = "door.pem"\nkey_file = "door.key"\nanchors_file = "ca.pem"\n'
    (files.directory / "clearinghouse.toml").write_text(f'community = "csirt-net"\nlevels = ["deny", "level-1"]\n{door}')
    words = ["serve", "--check", "--config", str(files.directory / "clearinghouse.toml")]
    assert f"door   {DOOR} at 0.0.0.0:5269; require certificate" in CliRunner().invoke(app, words).stdout
    assert json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["door"] == DOOR
