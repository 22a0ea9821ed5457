"""nats-py's `fetch` loop on uvloop: reads a stream, acknowledges, does nothing else.

`python -m benchmarks.fetch MESSAGES BATCH`, with NATS_URL and STREAM in the environment; prints
its figures as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import nats
import uvloop
from nats.js.api import AckPolicy, ConsumerConfig

CONSUMER = "fetch"


async def fetch_all(url: str, stream: str, messages: int, batch: int) -> dict[str, float]:
    """Reads the whole stream; returns messages read, wall and CPU seconds, memory in MB."""
    client = await nats.connect(url)
    js = client.jetstream()
    config = ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=-1, durable_name=CONSUMER)
    await js.add_consumer(stream, config)
    reader = await js.pull_subscribe_bind(CONSUMER, stream=stream)
    started, used, seen = time.monotonic(), time.process_time(), 0
    while seen < messages:
        got = await reader.fetch(min(batch, messages - seen), timeout=5)
        seen += len(got)
        await got[-1].ack()
    seconds, cpu = time.monotonic() - started, time.process_time() - used
    await js.delete_consumer(stream, CONSUMER)
    await client.close()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"read": seen, "seconds": seconds, "cpu": cpu, "rss": rss}


if __name__ == "__main__":
    where = os.environ["NATS_URL"], os.environ["STREAM"]
    print(json.dumps(uvloop.run(fetch_all(*where, int(sys.argv[1]), int(sys.argv[2])))))
