"""What a stream's configuration must and must not be, or a promise cannot be kept."""

from __future__ import annotations

from typing import Any

from nats.js.errors import NotFoundError

from ingest.errors import StreamConfigError
from ingest.nats_link import NatsLink


def problems(config: dict[str, Any]) -> list[str]:
    """Sentences on what breaks a promise in a stream's configuration; none when it is sound."""
    found: list[str] = []
    if config.get("retention", "limits") != "limits":
        found.append(
            f"retention is {config['retention']!r}, expected 'limits': with another policy a"
            " message goes away when one of the two paths has read it"
        )
    if config.get("max_msgs_per_subject", -1) > 0:
        found.append(
            f"max_msgs_per_subject is {config['max_msgs_per_subject']}, expected none: a later"
            " reading of a device would remove an unread one"
        )
    if config.get("allow_msg_ttl"):
        found.append("allow_msg_ttl is on, expected off: messages could vanish unread")
    if config.get("storage", "file") != "file":
        found.append(f"storage is {config['storage']!r}, expected 'file'")
    if config.get("sealed"):
        found.append("the stream is sealed, so nothing can be published to it")
    if config.get("no_ack"):
        found.append("no_ack is on, expected off: a publisher could not know what is stored")
    return found


async def stream_config(link: NatsLink, stream: str) -> dict[str, Any]:
    """Configuration of a stream as the server tells it. Raises StreamConfigError."""
    try:
        config: dict[str, Any] = (await link.api(f"STREAM.INFO.{stream}", {}))["config"]
    except NotFoundError as error:
        raise StreamConfigError(
            f"NATS has no stream {stream!r}; run `ingest init` first"
        ) from error
    return config


async def require_suitable(link: NatsLink, stream: str) -> None:
    """Raises StreamConfigError naming the first setting that breaks a promise."""
    found = problems(await stream_config(link, stream))
    if found:
        raise StreamConfigError(f"stream {stream}: {found[0]}")
