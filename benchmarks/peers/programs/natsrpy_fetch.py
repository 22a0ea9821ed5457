"""natsrpy's `fetch` loop: reads 500 at a time, acknowledges up to the last, does nothing else.

Says {"read": n} at its end.
"""

from __future__ import annotations

import asyncio
import json
import os

from natsrpy import Nats

BATCH = 500


async def main() -> None:
    """Reads the whole stream."""
    messages, seen = int(os.environ["MESSAGES"]), 0
    client = Nats(addrs=[os.environ["NATS_URL"]])
    await client.startup()
    js = await client.jetstream()
    stream = await js.streams.get(os.environ["STREAM"])
    consumer = await stream.consumers.get_pull(os.environ["CONSUMER"])
    while seen < messages:
        got = await consumer.fetch(max_messages=min(BATCH, messages - seen))
        seen += len(got)
        if got:
            await got[-1].ack()
    await client.shutdown()
    print(json.dumps({"read": seen}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
