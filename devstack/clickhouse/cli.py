"""Command line of the server: `python -m devstack.clickhouse`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from devstack.clickhouse.engine import Engine
from devstack.clickhouse.errors import ServerError
from devstack.clickhouse.http import Application
from devstack.clickhouse.users import Users

_GRACE_S = 2
_KEEP_ALIVE_S = 60


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8123, help="TCP port of HTTP.")
@click.option(
    "--path",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("clickhouse"),
    help="Data directory, made when it is missing.",
)
@click.option(
    "--users-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file: name -> {password or password_sha256, role, databases}. Without it one "
    "admin is made from CLICKHOUSE_USER and CLICKHOUSE_PASSWORD.",
)
@click.option(
    "--database",
    "databases",
    multiple=True,
    help="Database to create at start; repeatable. CLICKHOUSE_DB adds one and makes it default.",
)
@click.option("--memory-mib", type=click.IntRange(256), default=2048, help="Memory limit, MiB.")
@click.option("--threads", type=click.IntRange(1), default=2, help="Threads of one query.")
@click.option("--workers", type=click.IntRange(1), default=16, help="Statements run at once.")
@click.option("--max-body-mib", type=click.IntRange(1), default=1024, help="Largest body, MiB.")
def main(
    host: str,
    port: int,
    path: Path,
    users_file: Path | None,
    databases: tuple[str, ...],
    memory_mib: int,
    threads: int,
    workers: int,
    max_body_mib: int,
) -> None:
    """Serve ClickHouse's engine over ClickHouse's HTTP interface."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    users = _users(users_file)
    default = os.environ.get("CLICKHOUSE_DB", "")
    try:
        engine = Engine(path, memory_bytes=memory_mib << 20, threads=threads)
        for name in dict.fromkeys([*databases, *filter(None, [default])]):
            engine.create_database(name)
    except ServerError as error:
        _fail(f"the engine does not start in {path}: {error.text}")
    application = Application(
        engine,
        users,
        default_database=default or "default",
        max_body_bytes=max_body_mib << 20,
        workers=workers,
    )
    _serve(application, engine, host, port)


def _serve(application: Application, engine: Engine, host: str, port: int) -> None:
    import uvicorn

    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        http="httptools",
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn raises the signal that ended it once more; the rest of this function must run.
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run()
    application.close()
    engine.close()
    logging.shutdown()
    sys.stdout.flush()
    # Threads that still hold a statement must not keep the process; parts on disk are whole.
    os._exit(0)


def _users(path: Path | None) -> Users:
    if path is None:
        name = os.environ.get("CLICKHOUSE_USER") or "default"
        return Users.single(name, os.environ.get("CLICKHOUSE_PASSWORD", ""))
    try:
        return Users.load(path)
    except ValueError as error:
        _fail(f"{path}: {error}", code=2)


def _fail(text: str, code: int = 1) -> NoReturn:
    click.echo(f"clickhouse: {text}", err=True)
    raise SystemExit(code)
