"""All that a start of Trino needs, brought to this machine ahead of it."""

from __future__ import annotations

from devstack.trino import class_archive, java
from devstack.trino.install import Installation, ensure
from devstack.trino.progress import Progress


def make_ready(progress: Progress, maven_url: str | None = None) -> Installation:
    """Java, the server and its class archive; at once when all of it is there.

    Raises `DevstackError` with what is missing and how to get it.
    """
    runtime = java.find()
    installation = ensure(progress, maven_url=maven_url)
    class_archive.ensure(runtime, installation, progress)
    return installation
