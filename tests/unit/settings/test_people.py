from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.errors import BadSettings
from clearinghouse.settings import AccessModel, Settings
from clearinghouse.settings.reading import parse_settings
from clearinghouse.settings.values import LONGEST_KEEPING, MAX_SOCKET_BYTES

HOME = Path("/srv/hub")
KEY = "ed25519-hex:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
SAME_KEY = "ed25519-base64:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
ANN = f'[[person]]\nname = "ann"\njids = ["ann@hub.example"]\nkeys = ["{SAME_KEY}"]\nlocal = ["ann"]\n'


def parse(text: str) -> Settings:
    return parse_settings(f'community = "csirt-net"\n{text}', file="clearinghouse.toml", directory=HOME)


def refused(text: str) -> str:
    with pytest.raises(BadSettings) as caught:
        parse(text)
    return str(caught.value)


@pytest.mark.parametrize("principal", ["xmpp:ann@hub.example", KEY, "unix:ann"])
def test_a_person_is_found_by_each_of_their_principals(principal: str) -> None:
    found = parse(ANN).person_of(principal)
    assert found is not None
    assert (found.name, found.principals) == ("ann", ("xmpp:ann@hub.example", KEY, "unix:ann"))


@pytest.mark.parametrize("principal", ["xmpp:bob@hub.example", "unix:bob", "ann@hub.example", SAME_KEY, ""])
def test_whoever_no_person_claims_is_a_stranger(principal: str) -> None:
    assert parse(ANN).person_of(principal) is None


@pytest.mark.parametrize(
    "claim,what",
    [
        ('jids = ["ann@hub.example"]', "ann@hub.example"),
        (f'keys = ["{KEY}"]', KEY),
        ('local = ["ann"]', "unix:ann"),
    ],
)
def test_what_two_persons_claim_is_refused(claim: str, what: str) -> None:
    assert f"gives `{what}` to `ann` and to `bob`" in refused(f'{ANN}[[person]]\nname = "bob"\n{claim}')


def test_one_key_in_two_spellings_is_one_key() -> None:
    assert f"gives `{KEY}` to `bob` twice" in refused(f'[[person]]\nname = "bob"\nkeys = ["{KEY}", "{SAME_KEY}"]')


@pytest.mark.parametrize(
    "text,fact",
    [
        (f'{ANN}[[person]]\nname = "ann"\nlocal = ["bob"]', "`person` names `ann` twice"),
        ('[[person]]\nname = "ann"', "`ann` has no address, key or user"),
        ('[[person]]\nname = "ann"\njids = ["hub.example"]', "line 4: `jids` in [[person]] number 1 has `hub.example`, which is a server"),
        ('[[person]]\nname = "ann"\njids = ["ann@hub.example/home"]', "which is no bare JID"),
        ('[[person]]\nname = "ann"\nkeys = ["ann"]', "which is no key"),
        ('[[person]]\nname = "ann"\nkeys = ["ed25519-hex:00"]', "which cannot be decoded".removeprefix("which ")),
        ('[[person]]\nname = "ann"\nlocal = ["../ann"]', "which is no user of this machine"),
        ('[[person]]\nname = "ann"\nlocal = ["1000"]', "which is no user of this machine"),
        ('[desk]\nkey_file = "k"\nsocket = "s"', "names a key file and a socket"),
        ('[desk]\nsocket = "s"', "names a socket and no principal"),
        ('[ledger]\nsocket = "s"', "names a socket and no principal"),
        ('[desk]\nwait = "367 days"', "line 3: `wait` in [desk] is `367 days`"),
        ('[ledger]\nretention = "3661 days"', f"at most {LONGEST_KEEPING.days} days"),
        ('[ledger]\nmask = ["jid", "jidd"]', "has `jidd`, which is no attribute"),
        (f'[control]\nsocket = "{"s" * MAX_SOCKET_BYTES}"', "which is too long for a socket"),
        ("[rates]\neach_burst = 0.5", "line 3: `each_burst` in [rates] is not usable"),
        ("[rates]\ndomain_per_second = 0", "line 3: `domain_per_second` in [rates] is not usable"),
        ("[rates]\ndomain_per_second = -1.0", "line 3: `domain_per_second` in [rates] is not usable"),
        ("[rates]\neach_per_second = inf", "line 3: `each_per_second` in [rates] is not usable"),
        ("[rates]\neach_per_second = true", "line 3: `each_per_second` in [rates] is not usable"),
        ('[reconcile]\nevery = "0 seconds"', "line 3: `every` in [reconcile] is `0 seconds`"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, fact: str) -> None:
    assert fact in refused(text)


def test_the_control_socket_lies_beside_the_store_where_the_service_may_write() -> None:
    assert parse("").control.socket == HOME / "control.sock"
    assert parse('[store]\npath = "/var/lib/hub/decisions.db"').control.socket == Path("/var/lib/hub/control.sock")
    assert parse('[control]\nsocket = "run/control"').control.socket == HOME / "run/control"
    assert parse('[control]\nsocket = ""').control.socket is None


def test_nobody_signs_unless_the_settings_say_who() -> None:
    assert (parse("").desk.there, parse("").ledger.there) == (False, False)
    desk = parse('[desk]\nkey_file = "keys/desk.key"').desk
    assert (desk.there, desk.key_file) == (True, HOME / "keys/desk.key")
    assert parse(f'[ledger]\nsocket = "/run/log/sign"\nprincipal = "{SAME_KEY}"').ledger.principal == KEY


def test_what_is_left_out_has_the_documented_default() -> None:
    read = parse("")
    assert (read.desk.approval_period, read.desk.wait) == (timedelta(days=90), timedelta(days=30))
    assert (read.ledger.checkpoint_every, read.ledger.retention) == (timedelta(seconds=10), timedelta(days=400))
    assert (read.ledger.mask, read.reconcile.every) == (("jid", "subject"), timedelta(minutes=5))
    assert not read.person
    assert not read.platforms


def test_platforms_are_bare_jids() -> None:
    assert parse('platforms = ["sensor@hub.example", "hub.example"]').platforms == ("sensor@hub.example", "hub.example")
    assert "which is no bare JID" in refused('platforms = ["sensor@hub.example/1"]')


def test_a_topic_has_one_of_two_access_models() -> None:
    topic = """[[broker]]
jid = "pubsub.hub.example"
component = "clearinghouse.hub.example"
secret_file = "secret"

[[topic]]
node = "incidents"
broker = "pubsub.hub.example"
payload_type = "urn:example"
"""
    assert parse(topic).topic[0].access_model is AccessModel.AUTHORIZE
    assert parse(f'{topic}access_model = "whitelist"').topic[0].access_model is AccessModel.WHITELIST
    assert "`access_model` in [[topic]] number 1 is not usable" in refused(f'{topic}access_model = "open"')
