"""What the keys of a federation sign, and what they refuse whoever asks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from clearinghouse.clearing.dsse import MEMBER, REVOCATIONS, TABLE, TIMESTAMP, opened
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.published import members, revocations, tables, timestamps
from clearinghouse.federation.published.revocations import RevocationSet
from clearinghouse.federation.published.tables import Head
from clearinghouse.federation.published.timestamps import Timestamp
from clearinghouse.keynote.keys import generate, write_key_file
from clearinghouse.settings.reading import parse_settings
from clearinghouse.signer.client import RemoteSigner, signing
from clearinghouse.signer.federal import SHAPES, ShapeRule
from clearinghouse.signer.roles import Role, SignerRefused
from tests.presses import COMMUNITY, LEVELS, NOW, key, member

WEEK = timedelta(days=7)
HASH = "ab" * 32
HEAD = Head(COMMUNITY, "*", 1, 3, NOW, NOW + WEEK, HASH, LEVELS, 0, 2, HASH)
STAMP = Timestamp(COMMUNITY, "*", 1, 3, HASH, 2, NOW, NOW + timedelta(minutes=10), 1, 1, HASH, HASH, 2)
REVOKED = RevocationSet(COMMUNITY, 1, 3, NOW, NOW + WEEK)
PAYLOADS = {
    Role.TABLE: tables.written(HEAD),
    Role.TIMESTAMP: timestamps.written(STAMP),
    Role.REVOKER: revocations.written(REVOKED),
    Role.REGISTRAR: members.written(member("a.example", 3)),
}
TYPES = {Role.TABLE: TABLE, Role.TIMESTAMP: TIMESTAMP, Role.REVOKER: REVOCATIONS, Role.REGISTRAR: MEMBER}


def rule(role: Role) -> ShapeRule:
    return ShapeRule(key("signer"), SHAPES[role], WEEK)


@pytest.mark.parametrize("role", PAYLOADS)
def test_each_role_signs_its_own_shape_and_nothing_else(role: Role) -> None:
    ours = rule(role)
    for other, payload in PAYLOADS.items():
        if other is role:
            assert opened(ours.signed(payload), payload_type=TYPES[role]).payload == payload
        else:
            with pytest.raises(ClearinghouseError):
                ours.signed(payload)
    for junk in (b"", b"{}", PAYLOADS[role] + b" ", PAYLOADS[role].replace(b":3", b": 3")):
        with pytest.raises(ClearinghouseError):
            ours.signed(junk)


def test_a_version_is_signed_once_and_they_only_go_up() -> None:
    ours = rule(Role.TABLE)
    ours.signed(tables.written(HEAD))
    ours.signed(tables.written(HEAD))  # the same again says nothing new
    for other in (replace(HEAD, content="cd" * 32), replace(HEAD, version=2), replace(HEAD, version=4, issued=NOW - timedelta(seconds=1))):
        with pytest.raises(SignerRefused):
            ours.signed(tables.written(other))
    ours.signed(tables.written(replace(HEAD, audience="b.example", version=1)))
    ours.signed(tables.written(replace(HEAD, version=4)))


def test_other_communities_older_epochs_and_longer_lives_are_refused() -> None:
    ours = rule(Role.TABLE)
    ours.signed(tables.written(replace(HEAD, epoch=2)))
    for other in (replace(HEAD, community="other", epoch=2, version=9), replace(HEAD, version=9)):
        with pytest.raises(SignerRefused):
            ours.signed(tables.written(other))
    with pytest.raises(SignerRefused, match="longer than"):
        ours.signed(tables.written(replace(HEAD, epoch=2, version=9, expires=NOW + WEEK + timedelta(seconds=1))))
    ours.signed(tables.written(replace(HEAD, epoch=3, version=1)))  # everything begins anew


def test_a_timestamp_is_signed_again_for_one_table_and_never_for_an_older_one() -> None:
    ours = rule(Role.TIMESTAMP)
    ours.signed(timestamps.written(STAMP))
    later = replace(STAMP, issued=NOW + timedelta(minutes=3), expires=NOW + timedelta(minutes=13))
    ours.signed(timestamps.written(later))
    for other in (STAMP, replace(later, version=2)):
        with pytest.raises(SignerRefused):
            ours.signed(timestamps.written(other))


async def test_each_key_has_a_process_of_its_own(tmp_path: Path) -> None:
    text = 'community = "csirt-net"\n'
    for name, section in (
        ("t1", "[[table_signer]]"),
        ("t2", "[[table_signer]]"),
        ("stamp", "[timestamp_signer]"),
        ("registrar", "[registrar]"),
        ("revoker", "[revoker]"),
    ):
        write_key_file(tmp_path / f"{name}.key", generate())
        text += f'{section}\nkey_file = "{name}.key"\n'
    settings = parse_settings(f"{text}[federation]\n", file="clearinghouse.toml", directory=tmp_path)
    async with signing(settings) as found:
        assert found.timestamp is not None
        every = (*found.tables, found.timestamp, found.registrar, found.revoker)
        assert len({each.line.process.pid for each in every if isinstance(each, RemoteSigner) and each.line and each.line.process}) == 5
        sealed = await asyncio.gather(*(each.sealed(PAYLOADS[Role.TABLE]) for each in found.tables))
        assert [opened(each, payload_type=TABLE).signers for each in sealed] == [(each.principal,) for each in found.tables]
        with pytest.raises(SignerRefused):
            await found.timestamp.sealed(PAYLOADS[Role.TABLE])


async def test_no_key_has_two_roles(tmp_path: Path) -> None:
    write_key_file(tmp_path / "one.key", generate())
    text = 'community = "csirt-net"\n[[table_signer]]\nkey_file = "one.key"\n[timestamp_signer]\nkey_file = "one.key"\n[federation]\n'
    with pytest.raises(BadSettings, match="signs in two roles"):
        async with signing(parse_settings(text, file="clearinghouse.toml", directory=tmp_path)):
            pass
