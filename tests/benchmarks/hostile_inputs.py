"""The worst requests that we know: bytes and attributes that a stranger chooses, each within every limit of `Limits`.

They are the worst of their kind, found by trying: what is longest to read, to decode, to verify, to
evaluate, to follow.  Credentials are signed where that lets them be evaluated: anybody can make a
key, license whom they like, and so have conditions of their own evaluated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import rsa

from clearinghouse.keynote import Limits
from clearinghouse.keynote.der import write_integers
from tests.benchmarks.community import ACTION, KIND, Key, credential, quoted

_LIMITS = Limits()
REQUESTER = Key(1)
_OWN = Key(2)
"""A key of the sender's own, which licenses the requester to anything."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request: credentials handed in, attributes, requesters."""

    credentials: tuple[bytes, ...]
    action: Mapping[str, str] = field(default_factory=lambda: ACTION)
    requesters: tuple[str, ...] = (REQUESTER.principal,)


INPUTS: dict[str, Callable[[], Hostile]] = {}


def _hostile(make: Callable[[], Hostile]) -> Callable[[], Hostile]:
    INPUTS[make.__name__.strip("_").replace("_", " ")] = make
    return make


def _filled(piece: str, size: int, before: str = "", after: str = "") -> bytes:
    """Return *piece* repeated between the ends until *size* bytes are full."""
    room = size - len(before) - len(after)
    return (before + piece * (room // len(piece)) + after).encode("latin-1")


def _eight(make: Callable[[int], bytes]) -> Hostile:
    """Return a request of eight assertions of 8 kB: all the bytes that are read."""
    return Hostile(tuple(make(_LIMITS.assertion_bytes) for _ in range(_LIMITS.request_bytes // _LIMITS.assertion_bytes)))


def _many(raws: Iterable[bytes], **rest: Mapping[str, str] | tuple[str, ...]) -> Hostile:
    """Return a request of as many of *raws* as the limits on number and bytes let in."""
    taken: list[bytes] = []
    for raw in raws:
        if len(taken) == _LIMITS.assertions or sum(map(len, taken)) + len(raw) > _LIMITS.request_bytes:
            break
        taken.append(raw)
    return Hostile(tuple(taken), **rest)  # type: ignore[arg-type]  # the two fields by name


_HEAD = f'Authorizer: "{_OWN.principal}"\nLicensees: "{REQUESTER.principal}"\nConditions: '
_SIZES = (8_192, 4_096, 2_048, 1_024)
"""Bytes of each assertion.  What ends the budget at once when it is long, may take the most time when it is shorter."""


def _signed(
    conditions: Callable[[int], str], size: int = _LIMITS.assertion_bytes, action: Mapping[str, str] = MappingProxyType({})
) -> Hostile:
    """Return as many credentials as go in, by the sender's own key for the requester; *conditions* takes the room that it has."""
    room = size - 450
    numbered = (f'{conditions(room)} || n == "{number}"' for number in range(_LIMITS.assertions))
    return _many((credential(_OWN, quoted(REQUESTER), each) for each in numbered), action={**ACTION, **action})


def _repeated(test: str, room: int, joined: str = " || ") -> str:
    """Return *test* as often as *room* bytes allow."""
    return joined.join([test] * max(1, (room + len(joined)) // (len(test) + len(joined))))


# -- long to read -------------------------------------------------------------------------------------


@_hostile
def _random_bytes() -> Hostile:
    chance = random.Random(1)  # noqa: S311 - the same bytes each time
    return _eight(chance.randbytes)


_PIECES = {
    "hash signs": ("#", ""),
    "quotation marks": ('"', ""),
    "backslashes": ("\\", '"'),
    "escapes": ("\\177", '"==a;'),
    "brackets": ("(", ""),
    "brackets, closed": ("()", ""),
    "braces": ("a==a->{", ""),
    "shortest clauses": ("a==a;", ""),
    "shortest clauses, then a mistake": ("a==a;", "a"),
    "clauses of every operator": ('@a+1>-2^3&&!(&a*.5<1.5||$a.b~="(c)")->d;', ""),
    "texts joined": ("a.", 'a=="";'),
    "numbers added": ("1+", "1==1;"),
    "negations": ("!", "true;"),
    "dollar signs": ("$", 'a=="";'),
    "tests joined": ("true||", "true;"),
    "digits": ("9", "==1;"),
    "lines": ("a\n ==\n a;\n ", ""),
    "carriage returns": ("a == a\r\n", ""),
}
for _size in _SIZES:
    for _name, (_piece, _after) in _PIECES.items():
        _count = min(_LIMITS.assertions, _LIMITS.request_bytes // _size)
        INPUTS[f"{_name}, {_count} of {_size}"] = partial(Hostile, (_filled(_piece, _size, _HEAD, _after),) * _count)


@_hostile
def _unknown_labels() -> Hostile:
    return _eight(lambda size: _filled("Licensee: x\n", size))


@_hostile
def _nearly_labels() -> Hostile:
    return _eight(lambda size: _filled("Conditiosn: x\n", size))


@_hostile
def _same_label() -> Hostile:
    return _eight(lambda size: _filled('Authorizer: "x"\n', size))


@_hostile
def _a_label_without_end() -> Hostile:
    return _eight(lambda size: _filled("A", size))


@_hostile
def _continued_lines() -> Hostile:
    return _eight(lambda size: _filled("\n ", size, "Authorizer:", '"x"'))


@_hostile
def _comment_lines() -> Hostile:
    return _eight(lambda size: _filled("#\n", size, "", 'Authorizer: "x"\n'))


@_hostile
def _continued_signature() -> Hostile:
    return _eight(lambda size: _filled("\\\n ", size, f'Authorizer: "{_OWN.principal}"\nSignature: "{KIND}', '"\n'))


@_hostile
def _constants() -> Hostile:
    names = " ".join(f'c{number}="{number}"' for number in range(600))
    return _eight(lambda _: f'Local-Constants: {names}\nAuthorizer: "x"\n'.encode())


@_hostile
def _nul_bytes() -> Hostile:
    return _eight(bytes)


# -- long to decode and to verify -----------------------------------------------------------------------


@_hostile
def _licensees() -> Hostile:
    names = " || ".join(f'"{number:x}"' for number in range(700))
    return _eight(lambda _: f'Authorizer: "{_OWN.principal}"\nLicensees: {names}\n'.encode())


@_hostile
def _nested_licensees() -> Hostile:
    return _eight(lambda size: _filled("(", size, "Authorizer: x\nLicensees: "))


@_hostile
def _rsa_keys_as_licensees() -> Hostile:
    members = ", ".join(f'"rsa-hex:{write_integers(2**64 + 2 * number + 1, 65_537).hex()}"' for number in range(140))
    return _eight(lambda _: f'Authorizer: "{_OWN.principal}"\nLicensees: 1-of({members})\nSignature: "{KIND}00"\n'.encode())


@_hostile
def _undecodable_certificates() -> Hostile:
    members = ", ".join(f'"x509-hex:3082{number:04x}{"00" * 12}"' for number in range(140))
    return _eight(lambda _: f'Authorizer: "{_OWN.principal}"\nLicensees: 1-of({members})\n'.encode())


@_hostile
def _largest_rsa_signatures() -> Hostile:
    """A modulus of 8,192 bits that is no product of two primes: nobody looks, verifying costs the same."""
    modulus = 2 ** (_LIMITS.rsa_bits - 1) + 12_345
    key = "rsa-hex:" + write_integers(modulus, 2**63 + 1).hex()
    bits = f"{modulus // 3:0{_LIMITS.rsa_bits // 4}x}"
    return _many(f'Authorizer: "{key}"\nSignature: "sig-rsa-sha512-hex:{bits}"\n'.encode() for _ in range(_LIMITS.assertions))


@_hostile
def _usual_rsa_signatures() -> Hostile:
    key = rsa.generate_private_key(65_537, 2_048).public_key().public_numbers()
    name, bits = "rsa-hex:" + write_integers(key.n, key.e).hex(), "11" * 256
    return _many(
        f'Authorizer: "{name}"\nComment: {number}\nSignature: "sig-rsa-sha512-hex:{bits}"\n'.encode()
        for number in range(_LIMITS.assertions)
    )


@_hostile
def _false_ed25519_signatures() -> Hostile:
    return _many(
        f'Authorizer: "{_OWN.principal}"\nComment: {number}\nSignature: "{KIND}{"11" * 64}"\n'.encode()
        for number in range(_LIMITS.assertions)
    )


@_hostile
def _valid_credentials() -> Hostile:
    """As many as may be handed in, each valid, each with another shape of conditions."""
    return _many(
        credential(_OWN, quoted(REQUESTER), " && ".join(f'a{number} != "{number}"' for _ in range(12)))
        for number in range(_LIMITS.assertions)
    )


# -- long to evaluate -----------------------------------------------------------------------------------

_LONG = "9" * _LIMITS.attribute_bytes
_WORD = ("ab" * _LIMITS.attribute_bytes)[: _LIMITS.attribute_bytes]
_PATTERNS = {
    "nested stars": "((((((((([ab]*)*)*)*)*)*)*)*)*)*c",
    "many groups": "(a|b)*" * 60 + "c",
    "counted": "([ab]?){200}([ab]){200}c",
    "many states": "[ab]*a[ab]{60}c",
    "alternatives": "|".join(f"{number:03}" for number in range(127)),
    "longest first": "(a|ab)(c|bcd)(d*)|(a|b|ab)*",
}


_TESTS: dict[str, tuple[str, dict[str, str]]] = {
    **{f"pattern of {name}": (f'long ~= "{pattern}"', {"long": _WORD}) for name, pattern in _PATTERNS.items()},
    "short texts matched": ('domain~="a*"', {}),
    "long numbers": ("@long>1", {"long": _LONG}),
    "long floats": ("&long<0.1", {"long": "0." + _LONG[2:]}),
    "long texts compared": ("long<same", {"long": _WORD, "same": _WORD[:-1] + "c"}),
    "powers": ("7^@n>0", {"n": "2000000000"}),
    "indirections": ("$$$$a==a", {"a": "b", "b": "c", "c": "d", "d": "a"}),
    "special attributes": ("_ACTION_AUTHORIZERS==a", {}),
    "captures": ('(a~="(x*)")&&_1!=_0', {}),
}
for _size in _SIZES:
    for _name, (_test, _action) in _TESTS.items():
        INPUTS[f"{_name}, credentials of {_size}"] = partial(_signed, partial(_repeated, _test), _size, _action)


@_hostile
def _patterns_compiled_anew() -> Hostile:
    return _signed(lambda room: " || ".join(f'long~="(a|b)*{number}(c|d)+"' for number in range(room // 36)), 4_096, {"long": _WORD[:500]})


@_hostile
def _patterns_from_attributes() -> Hostile:
    patterns = {f"p{number}": f"([ab]*{number})*" + "(a|b)?" * 60 for number in range(100)}
    return _signed(lambda _: " || ".join(f"long~={name}" for name in patterns), 4_096, {"long": _WORD[:500], **patterns})


@_hostile
def _long_texts_joined() -> Hostile:
    return _signed(lambda room: "(" + _repeated("long", room - 40, " . ") + ') == "x"', action={"long": _WORD})


@_hostile
def _nested_programs() -> Hostile:
    return _signed(lambda room: "true -> { " * 7 + _repeated("a!=b;", room // 2, " ") + " };" * 7 + " n==n", 4_096)


@_hostile
def _largest_attributes() -> Hostile:
    return _signed(lambda _: 'a == "a"', action={f"a{number}": _WORD for number in range(_LIMITS.attributes - len(ACTION) - 1)})


# -- long to follow -------------------------------------------------------------------------------------


@_hostile
def _everybody_licenses_everybody() -> Hostile:
    """Thirty-two keys in a ring and across it, with the largest thresholds that fit."""
    keys = [Key(100 + number) for number in range(_LIMITS.assertions)]
    members = ", ".join(map(quoted, (REQUESTER, *keys[:20])))
    return _many(credential(key, f"1-of({members})", "a == a") for key in keys)


@_hostile
def _chain() -> Hostile:
    keys = [REQUESTER, *(Key(200 + number) for number in range(_LIMITS.assertions))]
    return _many(credential(above, quoted(below), "a == a") for below, above in pairwise(keys))


@_hostile
def _many_requesters() -> Hostile:
    names = tuple(f"xmpp:{number}@b.example" for number in range(1_000))
    return Hostile((credential(_OWN, f'"{names[0]}"', "a == a"),), requesters=names)


@_hostile
def _licensees_by_request() -> Hostile:
    """Principals that only the request decides: read again for each query."""
    names = " || ".join(f"$a . {number}" if number % 2 else f'a . "{number}"' for number in range(0, 500, 2))
    return _many(credential(Key(300 + number), names, "a == a") for number in range(_LIMITS.assertions))


@_hostile
def _anybody() -> Hostile:
    text = _repeated("a!=b", 1_500, " && ")
    return _many(_without_licensees(credential(Key(400 + number), "", text), Key(400 + number)) for number in range(_LIMITS.assertions))


def _without_licensees(raw: bytes, key: Key) -> bytes:
    """Return a credential that trusts whoever asks."""
    text = raw[: raw.index(b"Signature")].replace(b"Licensees: \n", b"")
    return text + f'Signature: "{KIND}{key.secret.sign(text + KIND.encode()).signature.hex()}"\n'.encode()
