"""The peers: how each is started, which consumer it reads by, and what it does with a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nats.js.api import AckPolicy, ConsumerConfig

from benchmarks.peers.said import count_of_nats_bench, count_of_program

CONSUMER = "peer"
PROGRAMS = Path(__file__).parent / "programs"
Command = Callable[[Path, str, int], list[str]]
"""Program and arguments of a peer in this folder for a stream of so many messages."""


@dataclass(frozen=True)
class Peer:
    """A client that runs as a process of its own.

    ``package``: its name in versions.toml.
    ``consumer``: made for it before it starts; without one it makes its own, of the same name.
    ``said``: what its output says of how much it has read, where it says so.
    """

    name: str
    package: str
    traits: Mapping[str, str]
    command: Command
    consumer: ConsumerConfig | None = None
    said: Callable[[str], int | None] | None = None

    @property
    def acknowledges(self) -> bool:
        """Whether the server hears which messages are done with."""
        return self.consumer is None or self.consumer.ack_policy != AckPolicy.NONE


def traits(decodes: str, stores: str, acknowledges: str, again: str) -> dict[str, str]:
    """What is to be known beside a figure, by column."""
    return {
        "decodes": decodes,
        "stores": stores,
        "acknowledges": acknowledges,
        "after a crash": again,
    }


OURS = traits("JSON, checked, typed columns", "ClickHouse: fsync, rollup", "no need", "each once")


def _consumer(policy: AckPolicy) -> ConsumerConfig:
    """A durable pull consumer over the whole stream; no limit holds the peer up."""
    return ConsumerConfig(durable_name=CONSUMER, ack_policy=policy, max_ack_pending=-1)


def _nats_bench(acks: str) -> Command:
    # Never with --purge, which empties the stream first.
    options = ["--consumer", CONSUMER, "--batch", "500", "--acks", acks, "--no-progress"]

    def command(folder: Path, stream: str, messages: int) -> list[str]:
        fetch = [str(folder / "nats"), "bench", "js", "fetch", "--stream", stream]
        return [*fetch, "--msgs", str(messages), *options]

    return command


def _program(name: str) -> Command:
    return lambda folder, *_: [str(folder / "bin" / "python"), str(PROGRAMS / name)]


def _bento(name: str) -> Command:
    return lambda folder, *_: [str(folder / "bento"), "-c", str(PROGRAMS / name)]


PEERS = (
    Peer(
        "nats bench fetch",
        "nats-cli",
        traits("no", "no", "each, when read", "nothing to keep"),
        _nats_bench("explicit"),
        _consumer(AckPolicy.EXPLICIT),
        count_of_nats_bench,
    ),
    Peer(
        "nats bench fetch, no acks",
        "nats-cli",
        traits("no", "no", "never", "nothing to keep"),
        _nats_bench("none"),
        _consumer(AckPolicy.NONE),
        count_of_nats_bench,
    ),
    Peer(
        "Bento",
        "bento",
        traits("no", "dropped", "each, after its batch", "some again"),
        _bento("bento.yaml"),
    ),
    Peer(
        "Bento, JSON",
        "bento",
        traits("JSON, one mapping", "dropped", "each, after its batch", "some again"),
        _bento("bento_json.yaml"),
    ),
    Peer(
        "Pathway, JSON",
        "pathway",
        traits("JSON, typed table", "counted", "each, before it is processed", "some lost"),
        _program("pathway_json.py"),
        _consumer(AckPolicy.EXPLICIT),
        count_of_program,
    ),
    Peer(
        "FastStream",
        "faststream",
        traits("JSON, dicts", "counted", "each, after its batch", "some again"),
        _program("faststream_pull.py"),
        _consumer(AckPolicy.EXPLICIT),
        count_of_program,
    ),
    Peer(
        "natsrpy fetch",
        "natsrpy",
        traits("no", "no", "last of each fetch", "nothing to keep"),
        _program("natsrpy_fetch.py"),
        _consumer(AckPolicy.ALL),
        count_of_program,
    ),
)
