"""Whom each kind of list admits, where that stands, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clearinghouse.federation.enforced.shadow import Today, today_as_json, today_of
from clearinghouse.federation.published.members import Endpoint
from clearinghouse.importing.gather import Format, gathered, told
from clearinghouse.importing.merged import Imported, merged
from clearinghouse.importing.yaml_tree import BadList

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_file


def imported(*paths: Path, kind: Format = Format.AUTO, local: str = "*") -> Imported:
    found, problems = gathered(paths, kind=kind, local=local)
    assert problems == []
    return merged(found, community="net", now=datetime(2026, 11, 20, tzinfo=UTC))


def domains(found: Imported) -> list[str]:
    return [member.domain for member in found.members]


def left(found: Imported) -> list[tuple[str, str]]:
    return [(f"{Path(each.place.file).name}:{each.place.line}", each.fact) for each in found.unread]


def today(found: Imported, local: str) -> Today:
    return next(each for each in found.today if each.local == local)


def test_prosody_lists_hold_for_each_host_with_its_module(write: Write) -> None:
    found = imported(
        write(
            "prosody.cfg.lua",
            """
modules_enabled = { "tls", "s2s_whitelist" }
s2s_whitelist = {
  "b.example"; -- CSIRT of B
  "Bücher.Example.",
}
VirtualHost "a.example"
  s2s_whitelist = { "c.example" }
Component "rooms.a.example" "muc"
VirtualHost "open.example"
  modules_disabled = { "s2s_whitelist" }
  modules_enabled = { "s2s_blacklist" }
  s2s_blacklist = { "evil.example" }
VirtualHost "closed.example" { modules_disabled = { "s2s" } }
""",
        )
    )
    assert domains(found) == ["b.example", "c.example", "xn--bcher-kva.example"]
    assert found.members[0].note == "CSIRT of B"
    assert found.members[0].source.endswith(f"prosody.cfg.lua:4 ({found.id})")
    assert [each.domain for each in found.refusals] == ["evil.example"]
    # Prosody's own semantics: a host's list and the global one together; a component inherits no such module.
    assert today(found, "a.example").inbound.allow == {"b.example", "c.example", "xn--bcher-kva.example"}
    assert not today(found, "a.example").inbound.default
    assert today(found, "rooms.a.example").outbound.default
    assert today(found, "open.example").inbound.deny == {"evil.example"}
    assert not today(found, "closed.example").inbound.admits("b.example")
    assert [fact for _, fact in left(found)] == [
        "admits every domain today, because a component does not inherit the module `s2s_whitelist`"
    ]


def test_a_list_that_no_module_reads_is_taken_and_said_to_have_no_effect(write: Write) -> None:
    found = imported(write("a.lua", 'VirtualHost "a.example"\n  s2s_whitelist = { "b.example" }\n'))
    assert domains(found) == ["b.example"]
    assert left(found) == [("a.lua:2", "has no effect today: no module that reads it is loaded on `a.example`")]
    assert today(found, "a.example").inbound.default


def test_the_old_module_of_both_lists_is_known(write: Write) -> None:
    text = """
modules_enabled = { "s2s_blackwhitelist" }
s2s_enable_blackwhitelist = "whitelist"
s2s_whitelist = { "b.example" }
s2s_blacklist = { "evil.example" }
VirtualHost "a.example"
"""
    found = imported(write("a.lua", text))
    assert today(found, "a.example").inbound.allow == {"b.example"}
    assert left(found) == [("a.lua:5", "has no effect today: no module that reads it is loaded anywhere")]


def test_prosody_includes_are_followed_and_missing_ones_named(write: Write, tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    write("conf.d/a.cfg.lua", 'VirtualHost "a.example"\n s2s_whitelist = { "b.example" }\n')
    write("conf.d/.hidden.cfg.lua", 'VirtualHost "hidden.example"\n')
    text = 'modules_enabled = { "s2s_whitelist" }\nInclude "conf.d/*.cfg.lua"\nInclude "none.lua"\nInclude "prosody.cfg.lua"\n'
    found = imported(write("prosody.cfg.lua", text))
    assert domains(found) == ["b.example"]
    assert [each.local for each in found.today] == ["a.example"]
    assert [place for place, _ in left(found)] == ["prosody.cfg.lua:3"]


def test_what_lua_would_compute_is_named_with_its_line(write: Write) -> None:
    text = """
modules_enabled = { "s2s_whitelist" }
s2s_whitelist = { "b.example", os.getenv("PARTNER"), ["c.example"] = true }
if production then
  s2s_whitelist = {}
end
RunScript "more.lua"
VirtualHost(name)
"""
    found = imported(write("a.lua", text))
    assert domains(found) == ["b.example"]
    assert left(found) == [
        ("a.lua:3", "has a value that only running it would tell (the name `os`)"),
        ("a.lua:3", 'has names in `["..."] = ...`, which a list of Prosody does not read'),
        ("a.lua:4", "is no plain setting up to line 6, and was not read"),
        ("a.lua:7", "is a call that only Prosody can make"),
        ("a.lua:8", "has a name that only running it would tell; what follows was read as part of no host"),
    ]


@pytest.mark.parametrize("more, unclear", [("", False), ("if x then y = 1 end\n", True), ('Include "none.lua"\n', True)])
def test_what_was_not_read_may_have_been_a_list(write: Write, more: str, unclear: bool) -> None:  # noqa: FBT001 - of a case
    found = imported(write("a.lua", f'{more}VirtualHost "a.example"\n'))
    assert today(found, "a.example").unclear is unclear
    found = imported(write("a.yml", "hosts: [a.example]\n" + ("include_config_file: none.yml\n" if unclear else "")))
    assert today(found, "a.example").unclear is unclear


def test_firewall_scripts_are_read_where_a_rule_is_about_domains(write: Write) -> None:
    write("denied.txt", "d.example\nuser@e.example\n\n")
    script = write(
        "rules.pfw",
        """
%LIST denied: file:denied.txt
%ZONE partners: b.example, c.example, bob@d.example
::deliver_remote
CHECK LIST: denied contains $<@to|host>
BOUNCE=policy-violation (not federated)

::deliver
LEAVING: partners
PASS.

FROM: <*>@spam.example
DROP.

# only the server itself, not its users
FROM: evil.example
DROP.

KIND: message
LOG=seen

TO: bob@a.example
TIME: 12am-9am
DROP.

DROP.
""",
    )
    found = imported(script, local="a.example")
    assert domains(found) == ["b.example", "c.example"]
    assert [each.domain for each in found.refusals] == ["d.example", "spam.example"]
    allowed = today(found, "a.example")
    assert (allowed.inbound.admits("b.example"), allowed.inbound.admits("x.example")) == (True, False)
    assert (allowed.outbound.admits("x.example"), allowed.outbound.admits("d.example")) == (True, False)
    assert allowed.unclear
    assert left(found) == [
        ("denied.txt:2", "is an address and no domain"),
        ("rules.pfw:3", "is an address and no domain"),
        ("rules.pfw:16", "decides by more than a domain, and was not read"),
        ("rules.pfw:22", "decides by more than a domain, and was not read"),
    ]


def test_a_firewall_that_bounces_all_but_a_list_is_a_white_list(write: Write) -> None:
    write("partners.txt", "b.example\n")
    write("rules.pfw", "%LIST ok: file:partners.txt\n::preroute\nNOT CHECK LIST: ok contains $<@to|host>\nBOUNCE.\n")
    scripts = 'firewall_scripts = { "module:scripts/spam.pfw", "rules.pfw", "none.pfw" }'
    text = f'modules_enabled = {{ "firewall" }}\n{scripts}\nVirtualHost "a.example"\n'
    found = imported(write("a.lua", text))
    assert domains(found) == ["b.example"]
    assert not today(found, "a.example").outbound.default
    assert today(found, "a.example").inbound.default
    assert [place for place, _ in left(found)] == ["a.lua:2"]


EJABBERD = """
hosts: [a.example, open.example, own.example]
define_macro:
  PARTNERS: [m.example]
acl:
  partners:
    server:
      - b.example   # CSIRT of B
      - c.example
    server_regexp: ".*\\\\.gov"
  more:
    - server: PARTNERS
    - acl: partners
  itself:
    acl: itself
  rooms:
    server: [unused.example]
access_rules:
  s2s:
    deny: {server: evil.example}
    deny: nobody
    allow: more
    allow: itself
    deny: all
s2s_access: s2s
host_config:
  open.example:
    s2s_access: all
  own.example:
    s2s_access:
      - allow:
          server: own.partner.example
include_config_file:
  - more.yml
"""


def test_ejabberd_rules_are_followed_to_the_domains_behind_them(write: Write) -> None:
    found = imported(write("ejabberd.yml", EJABBERD))
    assert domains(found) == ["b.example", "c.example", "m.example", "own.partner.example"]
    assert found.members[0].note == "CSIRT of B"
    assert [each.domain for each in found.refusals] == ["evil.example"]
    assert today(found, "a.example").inbound.allow == {"b.example", "c.example", "m.example"}
    assert today(found, "a.example").unclear
    assert not today(found, "a.example").inbound.default
    assert today(found, "open.example").inbound.default
    assert today(found, "own.example").outbound.allow == {"own.partner.example"}
    assert left(found) == [
        ("ejabberd.yml:10", "is a pattern: a table names each domain"),
        ("ejabberd.yml:17", "names domains (1) that `s2s_access` does not ask about; they were not imported"),
        ("ejabberd.yml:21", "is no ACL here, so this line matches nobody"),
        (
            "ejabberd.yml:34",
            f"could not be read: `{Path(found.files[0]).with_name('more.yml')}` cannot be read (No such file or directory)",
        ),
    ]


def test_the_first_rule_of_ejabberd_that_matches_decides(write: Write) -> None:
    rules = "deny: {server: b.example}\n    allow: {server: [b.example, c.example]}"
    found = imported(write("e.yml", f"hosts: [a.example]\naccess_rules:\n  s2s:\n    {rules}\ns2s_access: s2s\n"))
    assert today(found, "a.example").inbound.allow == {"c.example"}
    assert domains(found) == ["c.example"]
    assert [each.domain for each in found.refusals] == ["b.example"]


def test_included_files_of_ejabberd_are_read_with_their_limits(write: Write) -> None:
    write("lists.yml", "acl:\n  p: {server: b.example}\ns2s_access: all\n")
    text = "hosts: [a.example]\ninclude_config_file:\n  lists.yml:\n    allow_only: [acl]\naccess_rules:\n  s: {allow: p}\ns2s_access: s\n"
    assert domains(imported(write("e.yml", text))) == ["b.example"]


def test_without_any_access_ejabberd_admits_everybody(write: Write) -> None:
    assert today(imported(write("e.yml", "hosts: [a.example]\n")), "a.example").inbound.default


def test_plain_lists_and_tables_of_one_server_are_one_list(write: Write) -> None:
    text = write(
        "list.txt", "# ours\nb.example # CSIRT of B\n\nB.EXAMPLE. ; again\n*.c.example\n.d.example\ntwo words\n192.0.2.1\ne_f.example\n"
    )
    rows = [
        "note,domain,port,address,contact,colour",
        '"one, two",b.example,5270,192.0.2.7,"mailto:ops@b.example;tel:+49 30",red',
        ",g.example,99999,[::1],,",
        ",h.example,5269,,,",
    ]
    table = write("list.csv", "\n".join(rows))
    found = imported(text, table, local="a.example")
    assert domains(found) == ["b.example", "g.example", "h.example"]
    b, g, h = found.members
    assert b.note == "CSIRT of B; again; one, two"
    assert b.endpoints == (Endpoint("192.0.2.7", 5270),)
    assert b.contacts == ("mailto:ops@b.example", "tel:+49", "30")
    assert b.source.split("(")[0].split("/")[-1].strip() == "list.csv:2"
    assert (g.endpoints, h.endpoints) == ((Endpoint("::1", 5269),), ())
    assert [each.local for each in found.today] == ["a.example"]
    assert today(found, "a.example").inbound.allow == {"b.example", "g.example", "h.example"}
    assert left(found) == [
        ("list.csv:1", "is a column that is not known here"),
        ("list.csv:3", "is no port, and was left out"),
        ("list.csv:4", "is a port without an address, and was left out"),
        ("list.txt:5", "is a pattern and no domain"),
        ("list.txt:6", "is a pattern and no domain"),
        ("list.txt:7", "has several words"),
        ("list.txt:8", "`192.0.2.1` is an address"),
        ("list.txt:9", "`e_f.example` is no name of a server"),
    ]


def test_a_table_without_header_has_the_columns_in_their_order(write: Write) -> None:
    found = imported(write("list.csv", "b.example,192.0.2.7,5269,xmpp:ops@b.example,important,and more\n"))
    assert found.members[0].endpoints == (Endpoint("192.0.2.7", 5269),)
    assert found.members[0].contacts == ("xmpp:ops@b.example",)
    assert [fact for _, fact in left(found)] == ["stands beyond the last column and was left out"]


def test_blocks_of_mastodon_are_refusals(write: Write) -> None:
    rows = [
        "#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate",
        "spam.social,suspend,FALSE,FALSE,spam,FALSE",
        "odd.social,silence,FALSE,FALSE,,FALSE",
        "fine.social,noop,FALSE,FALSE,,FALSE",
    ]
    text = "\n".join(rows)
    found = imported(write("blocks.csv", text))
    assert domains(found) == []
    assert [(each.domain, each.note) for each in found.refusals] == [("odd.social", "silence"), ("spam.social", "suspend; spam")]
    assert today(found, "*").inbound.deny == {"odd.social", "spam.social"}
    assert today(found, "*").inbound.default
    assert left(found) == [("blocks.csv:4", "is not refused by that list, and was left out")]


def test_who_is_admitted_here_and_refused_there_is_left_to_people(write: Write) -> None:
    blocks = write("blocks.csv", "#domain,#severity\nb.example,suspend\n")
    found = imported(write("list.txt", "b.example\nc.example\n"), blocks)
    assert domains(found) == ["c.example"]
    assert [each.domain for each in found.refusals] == ["b.example"]
    assert [fact for _, fact in left(found)] == [f"is admitted here and refused at {blocks}:2; it became no member"]
    assert not today(found, "*").inbound.admits("b.example")


def test_notes_that_do_not_fit_are_said_and_hostile_ones_are_made_harmless(write: Write) -> None:
    found = imported(write("list.txt", f"b.example # {'x' * 2_000}\nc.example # \x1b[2J\u202egnp.exe\n"))
    assert len(found.members[0].note) == 1_023
    assert found.members[1].note == "[2J gnp.exe"
    assert [fact for _, fact in left(found)] == ["is beyond the 1023 characters of notes that a record has, and was left out"]


def test_the_same_lists_give_the_same_import(write: Write) -> None:
    path = write("list.txt", "b.example\n")
    assert imported(path).id == imported(path).id
    path.write_text("b.example\nc.example\n")
    assert imported(path).id != imported(write("other.txt", "b.example\n")).id


@pytest.mark.parametrize(
    "name, text, kind",
    [
        ("a.lua", "", Format.PROSODY),
        ("a.pfw", "", Format.PROSODY),
        ("a.yml", "", Format.EJABBERD),
        ("a.csv", "", Format.CSV),
        ("a", 'VirtualHost "a"\n', Format.PROSODY),
        ("a", "loglevel: info\nhosts:\n  - a\n", Format.EJABBERD),
        ("a", "#domain,#severity\n", Format.CSV),
        ("a", "b.example,192.0.2.1\n", Format.CSV),
        ("a", "# one, two\nb.example\n", Format.TEXT),
    ],
)
def test_the_format_is_told(write: Write, name: str, text: str, kind: Format) -> None:
    assert told(write(name, text)) is kind


def test_a_file_that_cannot_be_read_keeps_no_other_from_counting(write: Write, tmp_path: Path) -> None:
    found, problems = gathered([tmp_path / "none.txt", write("bad.yml", "a: [\n"), write("list.txt", "b.example\n"), tmp_path])
    assert [entry.domain for entry in found.entries] == ["b.example"]
    assert [type(error).__name__ for _, error in problems] == ["BadSettings", "BadList", "BadSettings"]


@pytest.mark.parametrize(
    "text, fact",
    [
        ("a: [", "line 2, is no YAML"),
        ("a: *b", "uses the unknown anchor `b`"),
        ("a: &a [*a]", "uses the unknown anchor `a`"),
        ("[" * 100, "has more than 64 levels"),
    ],
)
def test_yaml_that_is_none_is_refused_with_its_line(write: Write, text: str, fact: str) -> None:
    _, ((_, error),) = gathered([write("e.yml", text)])
    assert isinstance(error, BadList)
    assert fact in str(error)


def test_yaml_that_grows_by_aliases_is_not_expanded(write: Write) -> None:
    rows = ["define_macro: {X: y}", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    found, problems = gathered([write("e.yml", "\n".join(rows))])
    assert problems == []
    assert found.entries == []


def test_tags_make_no_objects(write: Write) -> None:
    found, problems = gathered([write("e.yml", "hosts: !!python/object/apply:os.system [x]\n")])
    assert problems == []
    assert [each.local for each in found.lists] == ["x"]


def test_what_was_allowed_is_kept_and_read_again(write: Write) -> None:
    for each in imported(write("e.yml", EJABBERD)).today:
        assert today_of(today_as_json(each)) == each
    with pytest.raises(ValueError, match="is no list of who is allowed today"):
        today_of({"local": "a.example"})


def test_a_table_that_is_none_is_refused(write: Write) -> None:
    _, problems = gathered([write("a.csv", "x" * 70_000 + "\n"), write("b.csv", ",".join("x" * 70) + "\n")])
    assert [error.code for _, error in problems] == ["bad-list", "bad-list"]
