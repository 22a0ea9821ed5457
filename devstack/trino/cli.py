"""`devstack trino fetch`: bring Trino to this machine ahead of its first start."""

from __future__ import annotations

import click

from devstack.errors import DevstackError
from devstack.trino.progress import Progress
from devstack.trino.ready import make_ready
from devstack.trino.release import MAVEN_CENTRAL, TRINO


@click.group()
def trino() -> None:
    """Trino's files on this machine."""


@trino.command()
@click.option(
    "--maven-url",
    envvar="DEVSTACK_MAVEN_URL",
    default=MAVEN_CENTRAL,
    show_default=True,
    show_envvar=True,
    help="Maven repository that has io.trino:trino-server.",
)
def fetch(maven_url: str) -> None:
    """Download the Trino server once, checked, and prepare fast starts.

    An interrupted download goes on where it ended. The files are kept in the user's cache folder,
    or in DEVSTACK_CACHE_DIR.
    """
    try:
        installation = make_ready(Progress(), maven_url)
    except DevstackError as error:
        click.echo(f"devstack: {error}", err=True)
        raise SystemExit(1) from None
    click.echo(f"Trino {TRINO.version} is in {installation.cache}.", err=True)
