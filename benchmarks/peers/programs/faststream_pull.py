"""FastStream takes batches of 500 decoded messages and acknowledges each when its handler is done.

Says {"read": n} when it has had the whole stream, and goes on until it is stopped.
"""

from __future__ import annotations

import json
import os
from typing import Any

import uvloop
from faststream import FastStream
from faststream.nats import JStream, NatsBroker, PullSub

MESSAGES = int(os.environ["MESSAGES"])
# A line of log for each batch would cost time and show nothing.
broker = NatsBroker(os.environ["NATS_URL"], logger=None)
app = FastStream(broker, logger=None)
seen = 0


@broker.subscriber(
    os.environ["SUBJECTS"],
    stream=JStream(os.environ["STREAM"], declare=False),
    durable=os.environ["CONSUMER"],
    pull_sub=PullSub(batch_size=500, batch=True),
)
async def take(readings: list[Any]) -> None:
    """Counts what came."""
    global seen  # noqa: PLW0603
    seen += len(readings)
    if not isinstance(readings[0], dict):
        raise TypeError(f"expected decoded JSON objects, found {type(readings[0])}")
    if seen >= MESSAGES:
        print(json.dumps({"read": seen}), flush=True)


if __name__ == "__main__":
    uvloop.run(app.run())
