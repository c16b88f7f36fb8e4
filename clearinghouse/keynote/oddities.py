"""What is odd about a pattern of ``~=`` though it may be searched with: advice for the linter."""

from __future__ import annotations

from string import ascii_letters, digits

from clearinghouse.keynote.ere import ANY, Either, End, Group, Node, Octet, PatternFault, Repeat, Sequence, Start
from clearinghouse.keynote.ere_parser import parse

_WORD = sum(1 << ord(character) for character in ascii_letters + digits)


def oddities(pattern: str) -> list[tuple[str, str]]:
    """Return what is odd about a pattern, as pairs of a rule's name and a message that ends with the mend.

    The rules are ``regex-escape``, ``regex-syntax`` and ``regex-size`` (it cannot be used: the
    test is always false), ``regex-unanchored`` and ``regex-dot``.
    """
    try:
        tree = parse(pattern)
    except PatternFault as fault:
        return [(fault.rule, fault.reason)]
    found = []
    if advice := _anchoring(pattern, tree):
        found.append(("regex-unanchored", advice))
    if _has_careless_dot(tree):
        advice = "a `.` between letters or digits is any byte: for the dot of a name write `\\.`, in a KeyNote string `\\\\.`"
        found.append(("regex-dot", advice))
    return found


def _anchoring(pattern: str, tree: Group) -> str:
    begins, ends = _bounded(tree, 0, Start()), _bounded(tree, -1, End())
    match begins, ends, tree.body:
        case True, True, _:
            return ""
        case _, _, Either():
            return f"`{pattern}` is not anchored in every branch, `^` and `$` bind closer than `|`: write `^(` and `)$` around the branches"
        case True, False, _:
            return f"`{pattern}` also accepts what only begins so: end it with `$`, or with `.*$` if anything may follow"
        case False, True, _:
            return f"`{pattern}` also accepts what only ends so: begin it with `^`, or with `^.*` if anything may precede"
        case _:
            return f"`{pattern}` is found anywhere in a text: write `^{pattern}$`"


def _bounded(node: Node, side: int, anchor: Start | End) -> bool:
    """Tell whether every match has *anchor* at this side (0 or -1), or says with ``.*`` that anything may stand there."""
    match node:
        case Repeat(Octet(members), _, None) if members == ANY:
            return True
        case Group(body=body):
            return _bounded(body, side, anchor)
        case Sequence(parts):
            return _bounded(parts[side], side, anchor)
        case Either(branches):
            return all(_bounded(branch, side, anchor) for branch in branches)
        case _:
            return node == anchor


def _has_careless_dot(node: Node) -> bool:
    match node:
        case Group(body=body) | Repeat(body=body):
            return _has_careless_dot(body)
        case Either(branches):
            return any(map(_has_careless_dot, branches))
        case Sequence(parts):
            between = zip(parts, parts[1:], parts[2:], strict=False)
            careless = any(dot == Octet(ANY) and _is_word(left, -1) and _is_word(right, 0) for left, dot, right in between)
            return careless or any(map(_has_careless_dot, parts))
        case _:
            return False


def _is_word(node: Node, side: int) -> bool:
    """Tell whether *node* has letters or digits at this side (0 or -1)."""
    match node:
        case Octet(members) | Repeat(Octet(members)):
            return members & ~_WORD == 0
        case Group(body=body) | Repeat(Group(body=body)):
            return _is_word(body, side)
        case Sequence(parts):
            return _is_word(parts[side], side)
        case Either(branches):
            return all(_is_word(branch, side) for branch in branches)
        case _:
            return False
