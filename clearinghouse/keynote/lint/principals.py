"""Who speaks and who is trusted: the Authorizer, Licensees and Signature fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from clearinghouse.errors import BadPrincipal, HolderError, TooLarge
from clearinghouse.keynote import syntax
from clearinghouse.keynote.context import POLICY
from clearinghouse.keynote.lint.advice import Advice
from clearinghouse.keynote.lint.source import Source
from clearinghouse.keynote.principals import check_strength, is_key, normalise, short, shown
from clearinghouse.keynote.signatures import KINDS
from clearinghouse.keynote.syntax import nodes
from clearinghouse.keynote.texts import fold

_LIKE_A_KEY = re.compile(
    r"\s*(?:rsa|dsa|ecdsa|ed25519|x509|binary|ssh)\b[-_a-z0-9 ]*:|\s*(?:rsa|dsa|ecdsa|ed25519|x509)-(?:hex|base64)", re.IGNORECASE
)


def bare_names(source: Source) -> Iterator[Advice]:
    """K001 and K002: names without quotation marks."""
    for field in (source.tree.authorizer, source.tree.licensees):
        for node in source.attributes(field):
            if node.name.upper() == POLICY:
                message = f"`{node.name}` without quotation marks is the attribute of that name, not the root of trust"
                yield source.advise("unquoted-policy", node, message, 'write `"POLICY"`')
            else:
                message = f"`{node.name}` is no constant of this assertion, so the request decides who it is"
                mend = f'write `"{node.name}"`, or define it: `Local-Constants: {node.name} = "ed25519-hex:..."`'
                yield source.advise("unquoted-principal", node, message, mend)


def empty_fields(source: Source) -> Iterator[Advice]:
    """K003, K004 and K005: a field that is empty, or missing, means more than it seems."""
    tree = source.tree
    if tree.conditions is not None and not tree.conditions.clauses:
        message = "`Conditions` is empty, which means the weakest value: the assertion gives nothing"
        yield source.advise("empty-conditions", source.at("Conditions"), message, "leave the field out to trust without conditions")
    match tree.licensees:
        case syntax.Empty():
            message = "`Licensees` is empty: the assertion trusts nobody"
            yield source.advise("empty-licensees", source.at("Licensees"), message, "name the licensees")
        case None:
            message = "there is no `Licensees` field, so anybody is trusted"
            yield source.advise("anybody", source.at("Authorizer"), message, 'name them: `Licensees: "..."`')
        case _:
            pass


def useless_fields(source: Source) -> Iterator[Advice]:
    """K006, K007, K008 and K009: what is written and does nothing, or not what it seems."""
    authorizer = source.authorizer
    if source.tree.signature is not None and authorizer is not None and not is_key(authorizer):
        message = f"`{shown(authorizer)}` is no key and cannot sign"
        yield source.advise("signed-policy", source.at("Signature"), message, "remove the Signature field")
    for node, name in _licensees(source):
        if name == POLICY:
            message = "`POLICY` stands among the licensees, but it never asks for anything"
            yield source.advise("policy-as-licensee", node, message, "name a key or a user; `POLICY` belongs in the Authorizer field")
        elif authorizer is not None and normal(name) == normal(authorizer):
            message = f"`{short(name)}` licenses itself"
            yield source.advise("self-licence", node, message, "remove it; what a key may do comes from those above it")
    for node in nodes(source.tree.licensees):
        if isinstance(node, syntax.Threshold):
            yield from _repeated(source, node)


def _repeated(source: Source, threshold: syntax.Threshold) -> Iterator[Advice]:
    names = [normal(name) for member in threshold.members if (name := fold(member.name, source.constants)) is not None]
    for name, times in Counter(names).items():
        if times > 1:
            again = [member for member in threshold.members if normal(fold(member.name, source.constants) or "") == name][1]
            message = f"`{short(name)}` stands {times} times in `{threshold.k}-of`, and counts {times} times"
            yield source.advise("repeated-member", again, message, "name each principal once")


def keys(source: Source) -> Iterator[Advice]:
    """K011 to K015: what the written principals and the signature are made of."""
    for node, name in (*_authorizers(source), *_licensees(source)):
        yield from _key(source, node, name)
    signature = fold(source.tree.signature, source.constants) if source.tree.signature is not None else None
    kind = KINDS.get(signature.partition(":")[0].lower()) if signature else None
    if kind is not None and kind.legacy:
        message = f"the signature is `{kind.name}`, which is refused unless the settings allow it"
        yield source.advise("legacy-signature", source.at("Signature"), message, "sign again, with SHA-256 or an Ed25519 key")


def _key(source: Source, node: syntax.Text, name: str) -> Iterator[Advice]:
    try:
        check_strength(name, allow_legacy=False)
    except BadPrincipal as problem:
        yield source.advise("undecodable-principal", node, problem.message, problem.mend)
    except (HolderError, TooLarge) as problem:
        yield source.advise("weak-key", node, problem.message, problem.mend)
    if _LIKE_A_KEY.match(name) and not is_key(name) and not name.lower().startswith("binary-"):
        message = f"`{shown(name)}` looks like a key but is an opaque name, for which nobody can sign"
        mend = "write the algorithm and encoding as in `ed25519-hex:` or `rsa-base64:`, without blanks"
        yield source.advise("key-like-name", node, message, mend)
    if name.lower().startswith("x509-"):
        message = "of this certificate only the key counts: its names, dates and issuer are not looked at"
        yield source.advise("certificate", node, message, "say in the conditions until when the key is trusted")


def _authorizers(source: Source) -> Iterator[tuple[syntax.Text, str]]:
    if source.authorizer is not None:
        yield source.tree.authorizer, source.authorizer


def _licensees(source: Source) -> Iterator[tuple[syntax.Text, str]]:
    for node in nodes(source.tree.licensees):
        if isinstance(node, syntax.Principal) and (name := fold(node.name, source.constants)) is not None:
            yield node.name, name


def normal(name: str) -> str:
    """Return the normal form of a principal, or what cannot be decoded as it is."""
    try:
        return normalise(name)
    except BadPrincipal:
        return name
