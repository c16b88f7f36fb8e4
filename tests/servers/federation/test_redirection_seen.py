"""What a Prosody without our module makes of a door, as docs/reference/redirection-seen.md says: nowhere does it go where it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Final

import pytest
import pytest_asyncio

from clearinghouse.demo.correspondents import Correspondent, correspondent
from clearinghouse.demo.neighbours import S2S_PORT, Neighbours
from clearinghouse.demo.prosody import Prosody
from clearinghouse.demo.servers import Server
from tests.servers.federation.conftest import lasting
from tests.servers.federation.scripted_door import Phase, ScriptedDoor, door, error
from tests.servers.federation.sites import HOME, PASSWORD, new_body

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

FAILED: Final = "remote-server-timeout: Server-to-server connection failed: "
WORDS: Final = "why (decision 0123456789ab)"
REFUSED: Final = f"policy-violation ({WORDS})"
SENT_ON: Final = f"see-other-host ({WORDS})"
NOT_ITS_NAME: Final = "Remote server's certificate is not valid for this name"

DOOR, MEMBER = "door.hub.fed", "b.fed"


class Stock(Prosody):
    """A Prosody as it comes."""

    def _configuration(self) -> str:
        return Prosody._configuration(self).replace('"clearinghouse", ', "")


@dataclass(slots=True)
class Sender:
    """Somebody who writes to b.fed, and the doors at which that may be found."""

    alice: Correspondent
    doors: dict[str, ScriptedDoor]
    town: Neighbours

    async def hears(self, shown: str, answer: str, phase: Phase) -> str:
        """Write when b.fed is at the door that shows this name, and return what comes back."""
        at = self.doors[shown]
        at._plays(answer, phase)
        self.town.names.put("b.fed", at.address, S2S_PORT)
        return await self.alice.bounced(self.alice.write("bob@b.fed", new_body()))


@pytest.fixture(scope="module")
def town() -> Iterator[Neighbours]:
    with Neighbours() as made:
        yield made


@pytest.fixture(scope="module", params=["certificates", "dialback"])
def stock(request: pytest.FixtureRequest, town: Neighbours) -> Iterator[Server]:
    yield from lasting(Stock, replace(HOME, dialback=request.param == "dialback"), town)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sender(stock: Server, town: Neighbours) -> AsyncIterator[Sender]:
    identities = [town.authority.identity([name]) for name in (DOOR, MEMBER)]
    async with correspondent("alice@a.fed", PASSWORD, stock) as alice, door(identities[0]) as plain, door(identities[1]) as fronting:
        yield Sender(alice, {DOOR: plain, MEMBER: fronting}, town)


@pytest.mark.parametrize("condition, told", [("policy-violation", REFUSED), ("see-other-host", SENT_ON)])
@pytest.mark.parametrize("shown", [DOOR, MEMBER])
@pytest.mark.parametrize("phase", [Phase.PLAIN, Phase.TLS, Phase.SASL, Phase.DIALBACK])
async def test_what_a_door_says_is_read_where_its_certificate_is_believed(
    sender: Sender, stock: Server, phase: Phase, shown: str, condition: str, told: str
) -> None:
    answer = error(condition, WORDS, sender.doors[MEMBER].place if condition == "see-other-host" else "")
    is_doubted = shown == DOOR and phase is not Phase.PLAIN and not stock.hosting.dialback
    if phase is Phase.DIALBACK and not stock.hosting.dialback and not is_doubted:
        told = "No viable authentication method offered by remote server"
    assert await sender.hears(shown, answer, phase) == FAILED + (NOT_ITS_NAME if is_doubted else told)
    assert sender.doors[shown].connections == 1


@pytest.mark.parametrize("phase", [Phase.STANZA, Phase.STANZA_AFTER_DIALBACK])
async def test_where_dialback_is_believed_a_door_that_lets_it_in_gets_the_stanza(sender: Sender, stock: Server, phase: Phase) -> None:
    at = sender.doors[DOOR]
    at.lets_in(phase)
    sender.town.names.put("b.fed", at.address, S2S_PORT)
    message = sender.alice.write("bob@b.fed", new_body())
    if stock.hosting.dialback:
        at.answer = error("policy-violation", WORDS)  # comes too late: the message is lost
        await at.leaves()
        assert any(message in each for each in at.taken)
    else:
        assert await sender.alice.bounced(message) == FAILED + NOT_ITS_NAME
        assert at.taken == []
