"""TCP ports on 127.0.0.1: the remembered ones when free, else the standard ones, else others."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from devstack.errors import DevstackError

GRPC_OFFSET = 10_000

# Below Linux's range for outgoing connections, also with the offset added.
_LOWEST, _HIGHEST = 11_000, 22_000
_ATTEMPTS = 200


@dataclass(frozen=True)
class PortWish:
    """A port that a service listens on; `paired` ones need the port 10,000 above as well."""

    standard: int
    paired: bool = False


def is_free(port: int) -> bool:
    """Whether 127.0.0.1:`port` can be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose(
    wishes: Mapping[str, PortWish], *, remembered: dict[str, int], taken: set[int], ephemeral: bool
) -> dict[str, int]:
    """A free port for every wish; those chosen are added to `taken`.

    Raises `DevstackError` when the machine has no free ports left.
    """
    chosen: dict[str, int] = {}
    for name, wish in wishes.items():
        first = [remembered[name]] if name in remembered else []
        standard = [] if ephemeral else [wish.standard]
        others = random.sample(range(_LOWEST, _HIGHEST), _ATTEMPTS)
        for port in [*first, *standard, *others]:
            wanted = {port, port + GRPC_OFFSET} if wish.paired else {port}
            if not wanted & taken and all(map(is_free, wanted)):
                chosen[name] = port
                taken |= wanted
                break
        else:
            raise DevstackError(f"No free TCP port was found on 127.0.0.1 for {name}.")
    return chosen
