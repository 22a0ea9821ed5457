"""Looking for messages in all lanes: what is seen, what is read, and who may."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from simulator.connect import connect
from simulator.errors import PublishRefusedError
from simulator.lanes import Lanes
from simulator.manifest import ManifestBuilder, Origin
from simulator.publisher import new_run_id
from simulator.readback import settle_queue
from simulator.servers import parse_servers
from simulator.transports import Connection
from simulator.window import Ack, Window
from tests.integration.simulator.conftest import jetstream
from tests.integration.simulator.spread import fleet, make_lanes, mapping, publisher


class Search:
    """A window and the lanes it may be in, on one connection; ``found`` is what a look-up found."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.builder = ManifestBuilder(Origin(new_run_id(), "readings", "readings", "fleet"))
        self.window = Window(self.builder, message_ids=True)
        self.found: list[Ack] = []
        self.lanes = Lanes(self.window, self.builder, self.found.extend, 5.0)

    async def look(self) -> Connection:
        """Connects and learns the lanes, as a run does when it begins."""
        server = parse_servers(self.settings)[0]
        connection = await connect(server, self.settings, lambda _: None, lambda *_: None)
        await self.lanes.look(connection, "readings.site-00.dev-0000.temperature")
        return connection


async def test_holes_and_other_runs_do_not_stop_a_search(server: Any) -> None:
    """Deleted messages and those of other senders are passed over."""
    await make_lanes(server)
    search = Search(server.settings())
    connection = await search.look()
    await publisher(server.settings()).run(fleet(100))
    connection.write(search.window.admit(list(fleet(200)), connection.inbox, 0.0))
    await settle_queue(connection, "READINGS", "lanes.READINGS.0.x", 5.0)
    async with jetstream(server) as js:
        for sequence in (50, 101, 300):
            await js.delete_msg("READINGS", sequence)
    await search.lanes.settle_stored(connection, search.window.numbers)
    await connection.end()

    assert [(int(ack.number), int(ack.sequence)) for ack in search.found] == [
        (number, number + 100) for number in range(2, 200)
    ]


# The server checks a publisher's rights on the mapped subject.
RIGHTS = """authorization { users: [
  { user: a, password: b }
  { user: u, password: p, permissions: { subscribe: "_INBOX.>", publish: [%s
    "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*"
  ] } }
] }
"""


@pytest.mark.parametrize("config", ["", RIGHTS % '"lanes.READINGS.>"'], ids=["all", "few rights"])
async def test_a_look_up_sees_what_the_lanes_have_only_received(
    make_server: Any, config: str
) -> None:
    """Messages written just before on the same connection are found, all of them."""
    server = make_server(config=config + mapping(3), login="a:b@" if config else "")
    await make_lanes(server)
    server.login = server.login and "u:p@"
    search = Search(server.settings())
    connection = await search.look()
    connection.write(search.window.admit(list(fleet(3_000)), connection.inbox, 0.0))
    searched = await search.lanes.settle_stored(connection, search.window.numbers)
    await connection.end()

    assert searched is not None
    assert sum(searched.values()) == 3_000
    assert sorted(int(ack.number) for ack in search.found) == search.window.numbers


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        (RIGHTS % '"readings.>"', "lanes.READINGS"),
        (
            RIGHTS.replace("INFO.*", "INFO.READINGS") % '"lanes.READINGS.>"',
            "$JS.API.STREAM.INFO.READINGS_",
        ),
    ],
    ids=["publish", "look"],
)
async def test_a_user_with_too_few_rights_for_lanes_is_told(
    make_server: Any, config: str, missing: str
) -> None:
    """Rights on the contract's subjects and stream are not enough where the server maps them."""
    server = make_server(config=config + mapping(3), login="a:b@")
    await make_lanes(server)
    server.login = "u:p@"
    with pytest.raises(PublishRefusedError, match=f'for Publish to "{re.escape(missing)}'):
        await publisher(server.settings()).run(fleet(10))


async def test_a_run_searches_only_what_came_after_it_began(server: Any) -> None:
    """What the lanes held before the first message was sent is never read."""
    await make_lanes(server)
    server.reload(mapping(3))
    earlier = await publisher(server.settings()).run(fleet(3_000))
    search = Search(server.settings())
    connection = await search.look()
    search.window.admit(list(fleet(10)), connection.inbox, 0.0)
    await connection.end()
    (sent,) = search.window.doubtful(search.window.numbers, math.inf)

    assert sent.floors == {name: one.last_sequence for name, one in earlier.lanes.items()}
