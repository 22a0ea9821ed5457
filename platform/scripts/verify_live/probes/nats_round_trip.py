# ruff: noqa: INP001, T201 - a program that verify runs in a pod; what it prints is its answer
"""Publishes into a stream of its own, reads the message back, and removes the stream."""

import asyncio
import os
import secrets
from urllib.parse import urlsplit

import nats
from nats.js.api import StorageType, StreamConfig


async def main(password: str) -> None:
    """One message, there and back."""
    server = urlsplit(os.environ["IOT_NATS__URL"].split(",")[0])
    link = await nats.connect(
        f"nats://{server.hostname}:{server.port or 4222}",
        user="admin",
        password=password,
        allow_reconnect=False,
        connect_timeout=10,
    )
    try:
        name, payload = f"VERIFY-{secrets.token_hex(4)}", secrets.token_bytes(64)
        subject, stream = f"verify.{name}", link.jetstream()
        await stream.add_stream(
            StreamConfig(name=name, subjects=[subject], storage=StorageType.FILE, max_bytes=65536)
        )
        try:
            acknowledged = await stream.publish(subject, payload)
            message = await stream.get_msg(name, acknowledged.seq)
            if message.data != payload:
                raise SystemExit("another message came back than was published")
        finally:
            await stream.delete_stream(name)
    finally:
        await link.close()
    print(f"sequence {acknowledged.seq} of {name} came back; the stream is removed")


asyncio.run(main(input()))
