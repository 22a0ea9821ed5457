"""A fleet of sensors as a deterministic sequence of messages.

The same options, seed and start time give the same bytes in the same order: all randomness is
drawn per block from (seed, block number), and nothing asks for the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, starmap

import numpy as np
import numpy.typing as npt

from ingest.errors import SettingsError
from simulator.blocks import Block, BlockMaker, messages_per_block
from simulator.encode import Encoder
from simulator.faults import MALFORMED, Limits, malformed_kinds
from simulator.payloads import PAYLOAD_KINDS, PayloadKind
from simulator.readings import Message
from simulator.signals import METRICS, IntArray, unit_hash

BoolArray = npt.NDArray[np.bool_]

NOMINAL_RATE = 200_000.0
DROPOUT_ROUNDS = 32
MAX_DEVICES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """What the fleet does; shares are fractions of all messages, 0 to 1.

    ``start_us``: time of the first measurement, microseconds since the Unix epoch. ``count``:
    readings that the sensors take (None: without end); a malformed message takes the place of its
    readings, a device's duplicate comes on top. ``rate``: messages a second, 0 = unpaced.
    ``interval_s``: event time between two readings of one device and metric; None: real time at
    ``rate`` (unpaced: as at 200,000 readings/s). ``late_max_s``: largest delay of a late reading.
    ``skew_s``: standard deviation of a device's clock error. ``max_rows``: rows that the contract
    allows in a message (malformed arrays exceed it). ``oversized_bytes``: size of the malformed
    kind ``oversized``, 0 = that kind is not used. ``kinds``: malformed kinds, empty = all.
    Raises SettingsError for values out of range.
    """

    start_us: int
    seed: int = 1
    devices: int = 1_000
    sites: int = 4
    count: int | None = None
    rate: float = 0.0
    interval_s: float | None = None
    payload: PayloadKind = "json"
    rows_per_message: int = 1
    subject_prefix: str = "readings"
    malformed: float = 0.0
    kinds: tuple[str, ...] = ()
    late: float = 0.0
    late_max_s: float = 6 * 3600.0
    duplicates: float = 0.0
    dropouts: float = 0.0
    skew_s: float = 0.2
    jitter_s: float = 0.002
    max_rows: int = 10_000
    oversized_bytes: int = 0

    def __post_init__(self) -> None:
        for problem, wrong in self._problems():
            if wrong:
                raise SettingsError(problem)

    def _problems(self) -> Iterator[tuple[str, bool]]:
        for name in ("malformed", "late", "duplicates", "dropouts"):
            share = getattr(self, name)
            yield f"{name} is {share}, a share is between 0 and 1", not 0 <= share <= 1
        for name in ("rate", "late_max_s", "skew_s", "jitter_s", "oversized_bytes", "seed"):
            value = getattr(self, name)
            yield f"{name} is {value}, must be finite and not negative", not 0 <= value < math.inf
        for name in ("devices", "sites", "rows_per_message", "max_rows"):
            value = getattr(self, name)
            yield f"{name} is {value}, must be at least 1", value < 1
        yield f"devices is {self.devices}, at most {MAX_DEVICES}", self.devices > MAX_DEVICES
        yield (
            f"payload is {self.payload!r}, known: {PAYLOAD_KINDS}",
            self.payload not in PAYLOAD_KINDS,
        )
        yield (
            f"rows_per_message is {self.rows_per_message}, a json payload carries one",
            self.payload == "json" and self.rows_per_message > 1,
        )
        yield f"count is {self.count}, must not be negative", (self.count or 0) < 0
        yield (
            f"interval_s is {self.interval_s}, must be positive",
            self.interval_s is not None and not 0 < self.interval_s < math.inf,
        )
        unknown = sorted(set(self.kinds) - set(MALFORMED))
        yield f"unknown malformed kinds {unknown}, known: {sorted(MALFORMED)}", bool(unknown)
        yield (
            "kind oversized needs oversized_bytes",
            "oversized" in self.kinds and not self.oversized_bytes,
        )

    @property
    def series(self) -> int:
        """Pairs of device and metric; a round hears each of them once."""
        return self.devices * len(METRICS)

    @property
    def messages(self) -> int | None:
        """Messages that carry ``count`` readings, duplicates aside; None without end."""
        return None if self.count is None else -(-self.count // self.rows_per_message)

    @property
    def step_us(self) -> float:
        """Event time between two readings of the whole fleet, microseconds."""
        if self.interval_s is not None:
            return self.interval_s * 1e6 / self.series
        return 1e6 / (self.rate * self.rows_per_message or NOMINAL_RATE)

    def starting(self, start_us: int | None, *, now_us: int) -> FleetOptions:
        """These options with a start: the one given, or chosen so that no reading is in the future.

        Paced in real time the first reading is now; else the last one is, where their number is
        known.
        """
        if start_us is None:
            real_time = self.rate and self.interval_s is None
            known = self.messages and not real_time
            last = (self.messages or 0) - 1 if known else 0
            # The rows of a message are a round apart, so the last one is the latest of all so far.
            step = self.series * self.rows_per_message
            latest = last // self.series * step + last % self.series + step - self.series
            start_us = now_us - math.ceil(latest * self.step_us)
        return replace(self, start_us=start_us)

    @property
    def earliest_us(self) -> int:
        """Bound below all event times, microseconds since the Unix epoch."""
        late_s = self.late_max_s if self.late else 0.0
        return self.start_us - math.ceil((late_s + 3 * (self.skew_s + self.jitter_s)) * 1e6)

    @property
    def limits(self) -> Limits:
        """Sizes that malformed messages exceed."""
        return Limits(self.max_rows, self.oversized_bytes)


class Fleet:
    """Iterates the fleet's messages; every iteration starts from the first one.

    Memory: about 200 bytes a device, one block of messages, and the messages of devices that are
    cut off at the moment.
    """

    def __init__(self, options: FleetOptions) -> None:
        self.options = options
        self._kinds = options.kinds or malformed_kinds(options.limits)
        self._encoder = Encoder(options)
        self._maker = BlockMaker(
            seed=options.seed,
            devices=options.devices,
            sites=options.sites,
            rows=options.rows_per_message,
            start_us=options.start_us,
            step_us=options.step_us,
            late=options.late,
            late_max_s=options.late_max_s,
            skew_s=options.skew_s,
            jitter_s=options.jitter_s,
        )

    def __iter__(self) -> Iterator[Message]:
        return chain.from_iterable(self._chunks())

    def _chunks(self) -> Iterator[list[Message]]:
        """Messages in order, a block at a time, and at the end those of devices still cut off."""
        options = self.options
        total = options.messages
        size = messages_per_block(options.rows_per_message)
        held: dict[int, list[Message]] = {}
        number, due_s = 0, 0.0
        while total is None or number * size < total:
            most = size if total is None else min(size, total - number * size)
            messages = self._block(self._maker.make(number, most), number * size, held)
            due_s = messages[-1].due_s if messages else due_s
            yield messages
            number += 1
        yield [late for device in held for late in _caught_up(held[device], due_s)]

    def _block(self, block: Block, first: int, held: dict[int, list[Message]]) -> list[Message]:
        """Messages of one block; ``first`` is the number of its first message in the run."""
        good = self._good(block, first)
        silent, back = self._cut_off(block)
        malformed = block.fault < self.options.malformed
        again = (block.again < self.options.duplicates) & ~malformed
        messages: list[Message] = []
        done = 0
        for index in np.flatnonzero(malformed | again | silent | back).tolist():
            messages += good[done:index]
            done = index + 1
            device = int(block.device[index])
            if back[index]:
                messages += _caught_up(held.pop(device, []), good[index].due_s)
            mine = [good[index]]
            if malformed[index]:
                mine = [self._malformed(block, index, good[index])]
            elif again[index]:
                mine.append(mine[0]._replace(label="duplicate"))
            if silent[index]:
                held.setdefault(device, []).extend(mine)
            else:
                messages += mine
        return messages + good[done:]

    def _good(self, block: Block, first: int) -> list[Message]:
        """The block's messages as the sensors meant them."""
        options = self.options
        left = None if options.count is None else options.count - first * options.rows_per_message
        columns = self._encoder.encode(block, left)
        numbers = np.arange(first, first + len(columns.payloads))
        due_s = numbers / options.rate if options.rate else numbers * 0.0
        labels = ["late" if late else "" for late in block.late.tolist()]
        rows = zip(
            columns.subjects,
            columns.payloads,
            columns.devices,
            columns.readings,
            columns.marks,
            labels,
            [False] * len(labels),
            due_s.tolist(),
            strict=True,
        )
        return list(starmap(Message, rows))

    def _malformed(self, block: Block, index: int, good: Message) -> Message:
        """The message in place of ``good`` when the device makes a mistake."""
        kind = self._kinds[int(block.kind[index] * len(self._kinds))]
        payload = MALFORMED[kind](self._encoder.reading(block, index), self.options.limits)
        return good._replace(payload=payload, readings=0, fingerprint=0, label=kind, malformed=True)

    def _cut_off(self, block: Block) -> tuple[BoolArray, BoolArray]:
        """Which messages a dropout holds back, and which are the first after one.

        A dropout lasts whole stretches of rounds, which begin at another round for each device.
        """
        share, seed = self.options.dropouts, self.options.seed
        if not share:
            nothing = np.zeros(len(block.device), dtype=np.bool_)
            return nothing, nothing
        offset = (unit_hash(seed, 11, block.device) * DROPOUT_ROUNDS).astype(np.int64)

        def silent(moment: IntArray) -> BoolArray:
            stretch = (moment + offset) // DROPOUT_ROUNDS
            return unit_hash(seed, 12, block.device, stretch) < share

        now = silent(block.round)
        back = silent(block.round - 1) & ~now & (block.metric == 0) & (block.round > 0)
        return now, back


def _caught_up(messages: list[Message], due_s: float) -> Iterator[Message]:
    """Messages of a device that is back, due now; labels that say more are kept."""
    for message in messages:
        yield message._replace(label=message.label or "catch_up", due_s=due_s)
