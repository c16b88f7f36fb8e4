"""Order and choice of the tests, the one fixture that every test has, and PostgreSQL; others live beside the tests that use them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from clearinghouse.demo.postgres import Cluster, cluster

# Speed is measured by the benchmarks; here a slow machine must not turn into a failed property.
settings.register_profile("clearinghouse", deadline=None, print_blob=True)
settings.load_profile("clearinghouse")

_LEFT_OUT = pytest.StashKey[int]()


@pytest.fixture(autouse=True)
def lines_go_where_they_went_before() -> Iterator[None]:
    """Undo what a test that runs a whole program has said of its log lines."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """Give the one PostgreSQL of all tests of this process; a test that asks for it is marked `servers`."""
    with cluster() as made:
        yield made


@pytest.fixture
def url(postgres: Cluster) -> Iterator[str]:
    """Give the URL of a database of PostgreSQL that no other test has."""
    name = postgres.database()
    yield postgres.url(name)
    postgres.drop(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-servers", action="store_true", help="leave out the tests that need a real XMPP server, and say how many")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # One process shows first what is quick to show.  Several share the work file by file, and what takes long begins first,
    # so that none is left with it at the end while the others wait.
    items.sort(key=_dear_first if hasattr(config, "workerinput") else _slow_last)
    if not config.getoption("--without-servers"):
        return
    servers = [item for item in items if item.get_closest_marker("servers")]
    config.hook.pytest_deselected(items=servers)
    config.stash[_LEFT_OUT] = len(servers)
    items[:] = [item for item in items if item not in servers]


def _slow_last(item: pytest.Item) -> int:
    return item.get_closest_marker("slow") is not None


def _dear_first(item: pytest.Item) -> int:
    if item.get_closest_marker("slow") is not None or item.path.name == "test_commands.py":
        return 0
    return 1 if item.get_closest_marker("servers") is not None else 2


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.section("NOT RUN", red=True, bold=True)
        terminalreporter.line(
            f"{left_out} tests with real servers were NOT run: their Debian packages are missing, see the top of this output", red=True
        )
