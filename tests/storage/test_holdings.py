from __future__ import annotations

from clearinghouse.errors import TooLarge
from clearinghouse.keynote import Limits
from clearinghouse.storage.folders import CREDENTIALS, FileRead
from clearinghouse.storage.holdings import Holdings, Loader
from tests.world import assertion, signed, who

GOOD = assertion("POLICY", "hub", 'operation == "subscribe" && topic == "incidents"', "allow")
BROKEN = GOOD.replace(b"Licensees", b"Licensee")


def policies(*texts: bytes, name: str = "topics/a.kn", group: str = "topics") -> FileRead:
    return FileRead(name, group, b"\n".join(texts))


def load(*files: FileRead, before: Holdings | None = None, loader: Loader | None = None) -> Holdings:
    return (loader or Loader()).load(files, before or Holdings())


def test_assertions_are_told_by_their_file_and_line() -> None:
    held = load(policies(b"# about\n", GOOD, GOOD.replace(b"incidents", b"news")), policies(GOOD, name="topics/b.kn"))
    assert [each.source for each in held.admitted()] == ["topics/a.kn:3", "topics/a.kn:7", "topics/b.kn"]


def test_a_mistake_is_told_with_its_line_in_the_file() -> None:
    held = load(policies(b"# about\n", GOOD, BROKEN))
    [problem] = held.problems
    assert (problem.file, problem.line, problem.column, problem.kept) == ("topics/a.kn", 8, 1, False)
    assert str(problem) == "topics/a.kn, line 8, column 1: `Licensee` is not a field of KeyNote: did you mean `Licensees:`?"
    assert len(held.policies["topics"]) == 1
    assert held.snapshot.refused[0].source == "topics/a.kn"


def test_several_mistakes_of_one_assertion_all_count_in_the_file() -> None:
    twice = BROKEN.replace(b"Conditions", b"Condition")
    [problem] = load(policies(GOOD, twice)).problems
    assert {getattr(each, "line", 0) for each in getattr(problem.error, "others", ())} | {problem.line} == {6, 7}


def test_a_rule_of_authority_that_a_policy_breaks_is_told_with_its_place() -> None:
    held = load(policies(b"# about\n", assertion("POLICY", "hub", 'topic == "incidents"', "allow")))
    [problem] = held.problems
    assert (problem.line, problem.error.code != "error") == (5, True)
    assert list(held.admitted()) == []


def test_a_credential_must_be_signed_and_within_the_limits_for_strangers() -> None:
    good = signed("hub", "ann@a.example", 'topic == "incidents"')
    files = [
        FileRead("credentials/a.kn", CREDENTIALS, good),
        FileRead("credentials/b.kn", CREDENTIALS, good.replace(b"incidents", b"incidentz")),
    ]
    held = load(*files)
    assert [each.source for each in held.credentials] == ["credentials/a.kn"]
    assert [(each.file, each.line, each.error.code) for each in held.problems] == [("credentials/b.kn", 1, "bad-signature")]
    tight = load(*files, loader=Loader(limits=Limits(assertion_bytes=100)))
    assert all(isinstance(each.error, TooLarge) for each in tight.problems)


def test_a_policy_for_people_may_not_share_its_keys_unless_the_settings_say_so() -> None:
    people = assertion("POLICY", "hub", 'operation == "approve" && subject == "a@b.example" && topic == "x" && case == "1"', "allow")
    files = [policies(GOOD), policies(people, name="people/a.kn", group="people")]
    held = load(*files)
    assert [each.file for each in held.problems] == ["people/a.kn"]
    assert "in another: use a key of its own for each" in str(held.problems[0])
    assert held.policies["people"] == ()
    shared = load(*files, loader=Loader(shared_keys=(who("hub"),)))
    assert shared.problems == ()
    assert shared.snapshot.version != held.snapshot.version


def test_equal_contents_have_equal_versions_wherever_they_stand() -> None:
    one = load(policies(GOOD, GOOD.replace(b"incidents", b"news")))
    two = load(policies(GOOD.replace(b"incidents", b"news"), name="topics/x.kn"), policies(b"# c\n", GOOD, name="topics/y.kn"))
    assert one.snapshot.version == two.snapshot.version
    assert load(policies(GOOD)).snapshot.version != one.snapshot.version


def test_what_is_unchanged_is_not_judged_again() -> None:
    file = policies(GOOD)
    first = load(file)
    second = load(file, before=first)
    assert next(second.admitted()) is next(first.admitted())
