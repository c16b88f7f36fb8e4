"""A community of many members under regional registrars: the same for levels, for queries one by one, and for biscuit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.federation.levels.book import Change, LevelBook, Scale
from clearinghouse.keynote import Admitted, admit
from clearinghouse.keynote.clock import clock_attributes

REGIONS = 100
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SCALE = Scale("net", ("deny", "level-1", "level-2", "level-3"))
_DAYS = tuple(f"{NOW + timedelta(days=day):%Y%m%d}" for day in range(11, 376))


@dataclass(frozen=True, slots=True)
class Member:
    """A domain with one key."""

    domain: str
    keys: tuple[str, ...]


def domain(number: int) -> str:
    """Return the name of a member."""
    return f"d{number:06}.r{number % REGIONS}.example"


def ends(number: int) -> str:
    """Return the day before which a membership holds."""
    return _DAYS[number % len(_DAYS)]


def assertion(author: str, licensee: str, conditions: str) -> Admitted:
    """Return an assertion; signatures are checked when credentials are loaded, which is measured elsewhere."""
    written = licensee if "(" in licensee else f'"{licensee}"'
    return admit(f'Authorizer: "{author}"\nLicensees: {written}\nConditions: {conditions};\n'.encode(), policy=True)


@dataclass(frozen=True)
class Federation:
    """*count* members; the policy trusts a root, the root trusts regional registrars, and each of those its members.

    With *audits* two auditors have audited each member as well, and the policy wants one or two of three.
    With *narrowed* a region may speak for names of its own only, which a pattern says.
    """

    count: int
    audits: bool = False
    narrowed: bool = False

    def membership(self, number: int, author: str) -> Admitted:
        """Return what *author* says of one member."""
        return assertion(
            author, f"xmpp:{domain(number)}", f'operation == "federate" && from_domain == "{domain(number)}" && date < "{ends(number)}"'
        )

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Every member."""
        return tuple(Member(domain(number), (f"ed25519-hex:{number:064x}",)) for number in range(self.count))

    @cached_property
    def own(self) -> tuple[Admitted, ...]:
        """What is said of each member, one after the other."""
        authors = [(f"region{number % REGIONS}", *self._auditors(number)) for number in range(self.count)]
        return tuple(self.membership(number, author) for number, each in enumerate(authors) for author in each)

    def _auditors(self, number: int) -> tuple[str, ...]:
        return ("abc"[number % 3], "bca"[number % 3 if number % 2 else (number + 2) % 3]) if self.audits else ()

    @cached_property
    def above(self) -> tuple[Admitted, ...]:
        """Policies, and what the root says of its registrars."""
        test = 'operation == "federate" && to_domain != "vault.example"'
        policies = [assertion("POLICY", "root", f'{test} -> "level-1"')]
        if self.audits:
            policies.append(assertion("POLICY", '("root") && ("a" || "b" || "c")', f'{test} -> "level-2"'))
            policies.append(assertion("POLICY", '("root") && 2-of("a", "b", "c")', f'{test} -> "level-3"'))
        return (*policies, *(assertion("root", f"region{region}", self._trusts(region)) for region in range(REGIONS)))

    def _trusts(self, region: int) -> str:
        names = f' && from_domain ~= "\\\\.r{region}\\\\.example$"' if self.narrowed else ' && community == "net"'
        return f'operation == "federate"{names} && date < "20280101"'

    def book(self) -> LevelBook:
        """Return the levels of everybody."""
        return LevelBook(Snapshot.of({"federate": (*self.above, *self.own)}, ()), self.members, SCALE, now=NOW)


class Turned:
    """A hundred credentials that change, and change back: fifty go and fifty others come, each time."""

    def __init__(self, federation: Federation, book: LevelBook) -> None:
        """Take the members numbered below a hundred."""
        self._book = book
        held = federation.own[:: 3 if federation.audits else 1]
        other = [federation.membership(number, f"region{(number + 1) % REGIONS}") for number in range(50)]
        self._here: tuple[Iterable[Admitted], Iterable[Admitted]] = (held[50:100], other)
        self._wanted = 0

    def change(self) -> int:
        """Change all hundred; return for how many members the level is another one."""
        gone, come = self._here
        self._here = come, gone
        told = self._book.change(Change(added=come, withdrawn=[each.id for each in gone]), now=NOW)
        return sum(map(len, told.values()))


# -- one by one ----------------------------------------------------------------------------------------


def queried(federation: Federation, few: int) -> Callable[[], list[str]]:
    """Return what asks for the levels of the first *few* members, each by a query with its proof."""
    held = Snapshot.of({"federate": (*federation.above, *federation.own)}, ()).assertions("federate")
    common = {"operation": "federate", "community": SCALE.community, "to_domain": "*", **clock_attributes(NOW)}
    asked = [((f"xmpp:{each.domain}", *each.keys), {**common, "from_domain": each.domain}) for each in federation.members[:few]]

    def run() -> list[str]:
        return [held.query(authorizers=names, action=action, values=SCALE.levels).value for names, action in asked]

    return run
