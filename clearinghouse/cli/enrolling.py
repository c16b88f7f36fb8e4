"""What the commands about members do, apart from their options."""

from __future__ import annotations

import asyncio
import json as json_text
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from clearinghouse.cli import member_pictures, principals, reading
from clearinghouse.cli.carrying import Carrier
from clearinghouse.cli.new_files import write_new
from clearinghouse.cli.output import as_json, clean, finish, say
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.membership.enrolment import applied, read_wanted, wanted_words
from clearinghouse.federation.names import normal
from clearinghouse.federation.published.members import Member, read_member, read_payload, seal_member
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding
from clearinghouse.keynote.octets import from_octets
from clearinghouse.runtime.federation.exporting import export as write_all
from clearinghouse.settings import read_settings
from clearinghouse.storage.named import read_named

__all__ = ["Carrier", "enrol", "export", "fleet", "members", "published", "renew", "settle", "sign", "take", "words_of", "write"]

LAST: Final = "~"
"""Comes after every domain: whoever asks from there on wants the drafts alone."""

MAX_RECORDS: Final = 100_000
"""Records of one file: the largest community that the tables are made for."""


def words_of(  # noqa: PLR0917 - a parameter for each option
    domain: str,
    endpoints: Sequence[str] | None,
    keys: Sequence[str] | None,
    agent: str | None,
    component: str | None,
    contacts: Sequence[str] | None,
    note: str | None,
    pins: str | None = None,
) -> dict[str, str]:
    """Return what options say of a record; what is not named is left out."""
    if not domain:
        raise BadSettings("no domain is named", mend="name one, or give a file: `--from FILE`")
    said = {
        "endpoints": None if endpoints is None else " ".join(endpoints),
        "keys": None if keys is None else " ".join(from_octets(principals.normal(each)) for each in keys),
        "agent": agent,
        "component": component,
        "contacts": None if contacts is None else "\n".join(contacts),
        "note": note,
        "pins": pins,
    }
    return {"domain": domain, **{name: text for name, text in said.items() if text is not None}}


def enrol(act: str, carrier: Carrier, words: Mapping[str, str], *, dry_run: bool, json: bool) -> None:
    """Have one record made, changed or removed, or say whose level that changes."""
    carrier.check()
    command = f"member {act}"
    if dry_run:
        _tell(command, carrier.asks(f"member-{act}", **words, dry_run="yes"), json=json)
        return
    told = carrier.sends(f"member-{act}", words)
    if told is not None:
        _tell(command, told, json=json)
    elif json:
        as_json(command, ok=True, file=str(carrier.output))
    else:
        carrier.tell_written()


def write(carrier: Carrier, words: Mapping[str, str], serial: int, *, json: bool) -> None:
    """Sign one record with the registrar's key into a file, where no service runs; it says all that there is to say."""
    if carrier.output is None:
        raise BadSettings("what was signed has nowhere to go", mend="name a file: `-o FILE`")
    community, now = read_settings(carrier.config).community, datetime.now(UTC)
    made = applied(read_wanted("add", words), None, community=community, serial=serial, now=now, source="registrar")
    write_new(carrier.output, seal_member(made, carrier.signers()) + b"\n")
    if json:
        as_json("member add", ok=True, file=str(carrier.output))
    else:
        say(f"signed; where the service runs: clearinghouse member add --from {clean(str(carrier.output))}")


def settle(act: str, config: Path, draft: str, *, dry_run: bool, json: bool) -> None:
    """Accept a draft, or drop it."""
    words = {"id": draft} | ({"dry_run": "yes"} if dry_run else {})
    _tell(f"member {act}", Carrier(config).asks(f"member-{act}", **words), json=json)


def _tell(command: str, told: Mapping[str, Any], *, json: bool) -> None:
    if json:
        as_json(command, ok=True, changed=told["changed"])
    else:
        member_pictures.enrolled(told["changed"])


# -- many at once -------------------------------------------------------------------------------------


def take(carrier: Carrier, source: str, domain: str, *, dry_run: bool, json: bool) -> None:
    """Hand in every record of a file: a signed one as it is, a draft as something that is wanted."""
    if domain or carrier.keys:
        raise BadSettings("a file says whose records they are, and who signed", mend="leave the domain and `--key` out")
    results = [_taken(carrier, each, dry_run=dry_run) for each in _lines(source)]
    good = all("error" not in each for each in results)
    if json:
        as_json("member add", ok=good, records=results)
    else:
        member_pictures.taken(results)
    finish(ok=good)


def _taken(carrier: Carrier, line: bytes, *, dry_run: bool) -> dict[str, Any]:
    domain = ""
    try:
        sealed = b'"payloadType"' in line
        member = read_member(line).member if sealed else read_payload(line)
        domain = member.domain
        if not sealed:
            words = {name: text for name, text in wanted_words(member).items() if text}
            told = carrier.asks("member-add", **words, **({"dry_run": "yes"} if dry_run else {}))
        elif dry_run:
            return {"domain": domain, "changed": None}
        else:
            told = carrier.asks("member-signed", record=encoding.encode(line, Encoding.BASE64))
    except ClearinghouseError as error:
        return {"domain": domain, "error": error.as_json()}
    return {"domain": domain, "changed": told["changed"]}


def _lines(source: str) -> Iterator[bytes]:
    found = [line.strip() for line in reading.read(source).splitlines() if line.strip()]
    if len(found) > MAX_RECORDS:
        raise BadSettings(f"`{clean(source)}` has {len(found)} records", mend=f"give at most {MAX_RECORDS} in one file")
    return iter(found)


def renew(config: Path, *, json: bool) -> None:
    """Have every record signed anew, as it is: for a new key of the registrar."""
    carrier = Carrier(config)
    present = [str(each["domain"]) for each in _every(carrier) if each["removed"] == "no"]
    results = [_renewed(carrier, domain) for domain in present]
    good = all("error" not in each for each in results)
    if json:
        as_json("member renew", ok=good, records=results)
    else:
        member_pictures.taken(results)
    finish(ok=good)


def _every(carrier: Carrier) -> Iterator[Mapping[str, Any]]:
    """Yield every member, as many answers as that takes."""
    after, more = "", True
    while more:
        found = carrier.asks("members", after=after)
        yield from found["members"]
        more = bool(found["more"])
        after = str(found["members"][-1]["domain"]) if more else ""


def _renewed(carrier: Carrier, domain: str) -> dict[str, Any]:
    try:
        return {"domain": domain, "changed": carrier.asks("member-change", domain=domain)["changed"]}
    except ClearinghouseError as error:
        return {"domain": domain, "error": error.as_json()}


# -- the registrar ------------------------------------------------------------------------------------


def sign(carrier: Carrier, draft: str, source: str | None, *, json: bool) -> None:
    """Sign what waits, and hand it in, or write it to a file."""
    carrier.check()
    wanted = list(_payloads(carrier, draft, source))
    if not wanted:
        raise BadSettings("nothing waits for a signature", mend="see `clearinghouse member list`")
    signed = [(each.domain, seal_member(each, carrier.signers())) for each in wanted]
    if not json:
        for each in wanted:
            say(f"signed {each.domain}, serial {each.serial}{': it leaves' if each.removed else ''}")
    if carrier.output is not None:
        write_new(carrier.output, b"".join(record + b"\n" for _, record in signed))
        told: list[dict[str, Any]] = [{"domain": domain, "changed": None} for domain, _ in signed]
    elif source is not None:
        raise BadSettings("what was signed has nowhere to go", mend="name a file: `-o FILE`")
    else:
        told = [_taken(carrier, record, dry_run=False) for _, record in signed]
    good = all("error" not in each for each in told)
    if json:
        as_json("member sign", ok=good, records=told, **({} if carrier.output is None else {"file": str(carrier.output)}))
    else:
        member_pictures.taken(told)
    finish(ok=good)


def _payloads(carrier: Carrier, draft: str, source: str | None) -> Iterator[Member]:
    """Yield the records that are to be signed: of the service, of what it listed, or of an import."""
    if source is None:
        drafts = carrier.asks("members", after=LAST)["drafts"]
    else:
        raw = reading.read(source)
        try:
            drafts = json_text.loads(raw)["drafts"]
        except (ValueError, KeyError, TypeError):
            yield from (read_payload(line.strip()) for line in raw.splitlines() if line.strip())
            return
    for each in drafts:
        named = draft and str(each["id"]).startswith(draft)
        if named and not each["accepted"]:
            raise BadSettings(f"draft {clean(str(each['id']))} waits for a person", mend="look at it, and accept it first: `member accept`")
        if each["accepted"] and (named or not draft):
            yield read_payload(encoding.decode(str(each["payload"]), Encoding.BASE64))


# -- looking ------------------------------------------------------------------------------------------


def members(config: Path, domain: str, *, json: bool) -> None:
    """Print every member and draft, or one record."""
    carrier = Carrier(config)
    if domain:
        found = carrier.asks("members", domain=normal(domain))
        records, drafts = found["members"], found["drafts"]
        if not records and not drafts:
            raise BadSettings(f"`{clean(domain)}` is no member", mend="see `clearinghouse member list`")
    else:
        records, drafts = list(_every(carrier)), carrier.asks("members", after=LAST)["drafts"]
    if json:
        as_json("member show" if domain else "member list", ok=True, members=records, drafts=drafts)
    elif domain:
        member_pictures.record(records, drafts)
    else:
        member_pictures.members(records, drafts)


def fleet(config: Path, *, json: bool) -> None:
    """Print how each agent is; status 1 where some are stale."""
    found = Carrier(config).asks("fleet")
    good = not any(each["stale"] for each in found["agents"])
    if json:
        as_json("fleet", ok=good, agents=found["agents"], published=found["published"])
    else:
        member_pictures.fleet(found["agents"], found["published"])
    finish(ok=good)


def published(config: Path, *, json: bool) -> None:
    """Print what is published; status 1 where something keeps the next table from it."""
    found = Carrier(config).asks("published")["published"]
    good = found["problem"] is None
    if json:
        as_json("federation status", ok=good, published=found)
    else:
        member_pictures.published(found)
    finish(ok=good)


def export(config: Path, directory: Path, *, json: bool) -> None:
    """Write what the store has to *directory*."""
    documents = asyncio.run(_documents(config))
    if not documents:
        raise BadSettings("nothing is published yet", mend="start the service with [federation], and see `federation status`")
    count = write_all(documents, directory)
    if json:
        as_json("federation export", ok=True, directory=str(directory), documents=len(documents), written=count)
    else:
        say(f"{count} of {len(documents)} documents were new in {clean(str(directory))}")


async def _documents(config: Path) -> Mapping[str, bytes]:
    async with read_named(read_settings(config).store) as store:
        return (await store.federation()).documents
