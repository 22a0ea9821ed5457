"""What peers say on their standard output of how much they have read."""

from __future__ import annotations

import json
import re

_EXPECTED = re.compile(r"expecting ([\d,]+) messages")
_STATS = re.compile(r"stats: [\d,.]+ msgs/sec")


def count_of_nats_bench(text: str) -> int | None:
    """Messages that `nats bench` has read; it gives figures only after the last of them."""
    expected = _EXPECTED.search(text)
    if expected is None or _STATS.search(text) is None:
        return None
    return int(expected.group(1).replace(",", ""))


def count_of_program(text: str) -> int | None:
    """The last count that one of `programs/` has said, in a line {"read": n}."""
    for line in reversed(text.splitlines()):
        # The last line may be half written.
        if line.startswith('{"read"') and line.endswith("}"):
            return int(json.loads(line)["read"])
    return None
