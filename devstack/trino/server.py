"""Trino: SQL over the lake, and the maintenance of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devstack.errors import DevstackError
from devstack.ports import PortWish
from devstack.service import Launch, Place
from devstack.trino import certificate, config, java, jvm
from devstack.trino.client import Client, NoAnswerError
from devstack.trino.install import GET_IT, find

# It takes a worker: right after its start Trino has none yet and fails what reads a table.
_PROBE = "SELECT count(*) FROM tpch.tiny.region"
# What fits Trino's sort buffer (64 MB). Beyond it Trino writes files of its own naming beside the
# table's, which the table buckets of SeaweedFS 4.48 refuse.
_SORT_MAX_ROWS = 200_000


class Trino:
    """A coordinator that is its own worker; TLS and a random password for the user `iot`."""

    name: str = "trino"
    ports: Mapping[str, PortWish] = {"https": PortWish(8443), "internal": PortWish(8080)}
    secrets: tuple[str, ...] = (
        "trino_password",
        "trino_keystore_password",
        "trino_shared_secret",
        "s3_secret_key",
    )
    connects_to: tuple[str, ...] = ("seaweedfs",)
    # Alone it takes about ten seconds; on two cores with fifteen busy processes, a hundred.
    healthy_within_s: float = 240.0
    grace_s: float = 10.0

    def prepare(self, place: Place) -> Launch:
        """Write configuration, key and certificate.

        Raises `DevstackError` when Trino was not fetched or there is no Java for it.
        """
        installation = find()
        if installation is None:
            raise DevstackError(f"Trino is not on this machine yet; {GET_IT}.")
        runtime = java.find()
        certificate.ensure(
            runtime, place.directory / "tls", place.secrets["trino_keystore_password"]
        )
        config.write(place)
        arguments = jvm.command(runtime, installation, place.directory)
        return Launch(arguments, directory=place.directory)

    def is_healthy(self, place: Place) -> bool:
        """Whether it is started and reads a table for our password."""
        client = Client(
            place.ports["https"], config.USER, place.secrets["trino_password"], _ca_file(place)
        )
        try:
            return client.is_started() and client.query(_PROBE) == [[5]]
        except NoAnswerError:
            return False

    def environment(self, place: Place) -> dict[str, str]:
        """IOT_TRINO__*."""
        login = f"{config.USER}:{place.secrets['trino_password']}"
        return {
            "IOT_TRINO__URL": f"https://{login}@127.0.0.1:{place.ports['https']}",
            "IOT_TRINO__CA_FILE": str(_ca_file(place)),
            "IOT_MAINTENANCE__SORT_MAX_ROWS": str(_SORT_MAX_ROWS),
        }

    def endpoints(self, place: Place) -> dict[str, str]:
        """The address of clients and of the web interface."""
        return {"https": f"https://127.0.0.1:{place.ports['https']}"}


def _ca_file(place: Place) -> Path:
    return place.directory / "tls" / certificate.CERTIFICATE
