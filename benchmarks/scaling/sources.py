"""Messages of a given size, and of contracts with more columns."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from simulator.readings import Message

BLOCK = 10_000
DEVICES = 1_000
METRICS = ("temperature", "humidity", "pressure", "battery", "flow")
TEXT_BYTES = 1 << 17
# Type of an added column, and its value in message n as JSON.
KINDS: tuple[tuple[str, Callable[[int], str]], ...] = (
    ("float64", lambda n: f"{n * 0.37:.4f}"),
    ("int64", str),
    ("string", lambda n: f'"text-{n % 5000}"'),
    ("low_cardinality_string", lambda n: f'"kind-{n % 7}"'),
)


def sized(count: int, size: int) -> Iterator[Message]:
    """``count`` readings of ``size`` bytes each: a note as long as it takes; 100 is the least."""
    text = "".join(random.Random(1).choices(string.ascii_letters + " ", k=TEXT_BYTES))
    frame = ',"attributes":{"note":""}'
    for number, head in enumerate(_heads(count)):
        room = size - len(head) - len(frame) - 1
        if room > 0:
            at = number * 37 % (TEXT_BYTES - room)
            yield _message(number, f'{head},"attributes":{{"note":"{text[at : at + room]}"}}}}')
        else:
            yield _message(number, f"{head}}}")


def widened(count: int, columns: int) -> Iterator[Message]:
    """``count`` readings with so many columns more, for the contract of ``wider_contract``."""
    added = [(f"added_{number}", *KINDS[number % len(KINDS)]) for number in range(columns)]
    for number, head in enumerate(_heads(count)):
        more = "".join(f',"{name}":{value(number)}' for name, _, value in added)
        yield _message(number, f"{head}{more}}}")


def wider_contract(packaged: Path, columns: int, file: Path) -> Path:
    """Writes the contract ``readings`` with so many columns more."""
    text = packaged.read_text(encoding="utf-8")
    for number in range(columns):
        kind = KINDS[number % len(KINDS)][0]
        text += f'\n[[columns]]\nname = "added_{number}"\ntype = "{kind}"\n'
    file.write_text(text, encoding="utf-8")
    return file


def _heads(count: int) -> Iterator[str]:
    """The start of each reading's JSON, with the columns that must be there; 90 to 99 bytes."""
    start_us = time.time_ns() // 1000
    for first in range(0, count, BLOCK):
        numbers = np.arange(first, min(first + BLOCK, count), dtype=np.int64)
        times = np.datetime_as_string((start_us + numbers).view("M8[us]"), unit="us").tolist()
        for number, text in zip(numbers.tolist(), times, strict=True):
            device, metric = number % DEVICES, METRICS[number % len(METRICS)]
            yield (
                f'{{"device_id":"dev-{device:04d}","metric":"{metric}","ts":"{text}Z",'
                f'"value":{20 + number % 1000 / 100:.4f}'
            )


def _message(number: int, payload: str) -> Message:
    device = f"dev-{number % DEVICES:04d}"
    metric = METRICS[number % len(METRICS)]
    # Its part in the manifest is not looked at: the writer's own rows are counted.
    return Message(f"readings.site.{device}.{metric}", payload.encode(), device, 1, 0)
