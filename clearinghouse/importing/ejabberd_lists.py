"""What an ejabberd admits today: `s2s_access`, the access rules and ACLs behind it, and what holds for single hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from clearinghouse.importing.ejabberd import EjabberdConfig, Setting, read_ejabberd
from clearinghouse.importing.entries import BOTH, EVERYWHERE, Entry, Found, Lists, Place, Rule, Unread
from clearinghouse.importing.yaml_tree import Pairs

_VERDICTS: Final = {"allow": True, "deny": False}


def from_ejabberd(path: Path) -> Found:
    """Return the lists of a configuration, host by host."""
    config = read_ejabberd(path)
    found = Found(unread=list(config.unread), files=list(config.files))
    for host, place in config.hosts or [(EVERYWHERE, Place(str(path)))]:
        found.lists.append(_Access(config, host, place, found).lists())
    _without_effect(config, found)
    return found


class _Access:
    """Follows `s2s_access` of one host to the domains behind it; the first rule that matches decides, and no rule denies."""

    def __init__(self, config: EjabberdConfig, host: str, place: Place, found: Found) -> None:
        self._config = config
        self._host = host
        self._found = found
        self._places = [place]
        self._unclear = bool(config.unread)  # an included file may hold anything
        self._inside: list[str] = []

    def lists(self) -> Lists:
        access = self._config.option("s2s_access", self._host)
        rules = tuple(self._rules(access)) if access else (_everybody(allowed=True),)
        default = dict.fromkeys(BOTH, False)
        return Lists(self._host, dict.fromkeys(BOTH, rules), default, unclear=self._unclear, places=tuple(self._places))

    def _rules(self, access: Setting) -> Iterator[Rule]:
        """Yield the rules of an access: a name, or the rules themselves."""
        self._places.append(access.place)
        name = access.node.text
        if name in {"all", "none"}:
            yield _everybody(allowed=name == "all")
            return
        definition = access
        if name:
            known = [rule for rule_name, rule in self._config.joined("access_rules", self._host) if rule_name == name]
            if not known:
                self._left(access.place, name, "is no access rule here, so ejabberd denies", unclear=False)
                return
            definition = known[-1]
        for verdict, condition in definition.pairs():
            if verdict not in _VERDICTS:
                self._left(condition.place, verdict, "is neither `allow` nor `deny`")
                continue
            yield from self._rule(condition, allowed=_VERDICTS[verdict])

    def _rule(self, condition: Setting, *, allowed: bool) -> Iterator[Rule]:
        """Yield what one line of a rule says: the name of an ACL, `all`, `none`, or conditions that must all hold."""
        parts = condition.node.value if isinstance(condition.node.value, list) else [condition.node]
        if len(parts) > 1:
            self._left(condition.place, "a list of conditions", "must all hold, which no list of domains says")
            return
        for part in parts:
            each = Setting(part, condition.file)
            if each.node.text in {"all", "none"}:
                if each.node.text == "all":
                    yield _everybody(allowed=allowed)
            elif isinstance(part.value, Pairs):
                yield from self._of_acl(each, allowed=allowed)
            else:
                yield from self._named(each, allowed=allowed)

    def _named(self, name: Setting, *, allowed: bool) -> Iterator[Rule]:
        known = [acl for acl_name, acl in self._config.joined("acl", self._host) if acl_name == name.node.text]
        if not known:
            self._left(name.place, name.node.text, "is no ACL here, so this line matches nobody", unclear=False)
        for acl in known[-1:] if name.node.text not in self._inside else ():  # one that names itself adds nothing
            self._inside.append(name.node.text)
            yield from self._of_acl(acl, allowed=allowed)
            self._inside.pop()

    def _of_acl(self, acl: Setting, *, allowed: bool) -> Iterator[Rule]:
        """Yield a rule for the domains of an ACL; any of its conditions suffices."""
        for kind, values in acl.pairs():
            if kind == "acl":
                yield from self._named(values, allowed=allowed)
                continue
            if kind != "server":
                self._left(values.place, f"{kind}: {_shown(values)}", _NOT_DOMAINS.get(kind, "says something else than which domain it is"))
                continue
            nodes = list(values.node.items())
            for node in nodes:
                place = Place(values.file, node.line)
                self._found.entries.append(Entry(node.text, place, allowed, self._config.comment(place)))
            yield Rule(allowed, frozenset(node.text for node in nodes))

    def _left(self, place: Place, text: str, fact: str, *, unclear: bool = True) -> None:
        self._unclear = self._unclear or unclear
        self._found.unread.append(Unread(place, text, fact, "write a policy for it, or list the domains"))


_NOT_DOMAINS: Final = {
    "server_regexp": "is a pattern: a table names each domain",
    "server_glob": "is a pattern: a table names each domain",
    "node_regexp": "is a pattern of addresses",
    "node_glob": "is a pattern of addresses",
    "user": "names users, and a table names domains: a grant can do that",
    "ip": "names addresses, and a table names domains: a grant can do that",
}


def _everybody(*, allowed: bool) -> Rule:
    return Rule(allowed, frozenset(), outside=True)


def _shown(values: Setting) -> str:
    return ", ".join(node.text for node in list(values.node.items())[:3])


def _without_effect(config: EjabberdConfig, found: Found) -> None:
    """Take the domains of ACLs that `s2s_access` does not lead to, and say so: they may be lists for something else."""
    read = {entry.place for entry in found.entries}
    for host in ["", *(name for name, _ in config.hosts)]:
        for name, acl in config.joined("acl", host):
            for kind, values in acl.pairs():
                nodes = [node for node in values.node.items() if kind == "server"]
                left = [node for node in nodes if Place(values.file, node.line) not in read]
                read |= {Place(values.file, node.line) for node in left}
                if left:
                    fact = f"names domains ({len(left)}) that `s2s_access` does not ask about; they were not imported"
                    found.unread.append(Unread(acl.place, name, fact, "if they are members, give them as a plain list"))
