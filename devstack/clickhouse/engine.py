"""The chDB engine of this process: one data directory, any number of connections.

chDB is ClickHouse's engine as a library. It keeps a connection's settings, temporary tables and
current database apart from all others, locks its directory against a second process, and frees
the lock when the process dies.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.clickhouse.errors import from_engine

_SERVER_CONFIG = """<clickhouse>
    <users_config>{users}</users_config>
    <default_database>_files</default_database>
    <max_server_memory_usage>{memory}</max_server_memory_usage>
    <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
    <mark_cache_size>134217728</mark_cache_size>
    <background_pool_size>2</background_pool_size>
    <background_merges_mutations_concurrency_ratio>1</background_merges_mutations_concurrency_ratio>
    <merge_tree>
        <number_of_free_entries_in_pool_to_lower_max_size_of_merge>0</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
        <number_of_free_entries_in_pool_to_execute_mutation>0</number_of_free_entries_in_pool_to_execute_mutation>
        <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>0</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    </merge_tree>
</clickhouse>
"""

# The engine has one user; without the FILE source it cannot read this machine's files.
_USERS_CONFIG = """<clickhouse>
    <profiles><default>
        <max_memory_usage>{memory}</max_memory_usage>
        <max_threads>{threads}</max_threads>
        <implicit_select>0</implicit_select>
    </default></profiles>
    <quotas><default/></quotas>
    <users><default>
        <password></password>
        <networks><ip>::/0</ip></networks>
        <profile>default</profile>
        <quota>default</quota>
        <grants><query>GRANT ALL ON *.*</query><query>REVOKE FILE ON *.*</query></grants>
    </default></users>
</clickhouse>
"""


@dataclass(frozen=True)
class Outcome:
    """What a finished statement did; rows and bytes are the engine's counts, 0 without one."""

    data: bytes
    read_rows: int
    read_bytes: int
    written_rows: int
    written_bytes: int
    result_rows: int
    elapsed_seconds: float


class Connection:
    """One engine connection; calls block, release the GIL, and must not overlap."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def run(
        self, sql: str, output: str = "TabSeparated", params: dict[str, str] | None = None
    ) -> Outcome:
        """Run one statement; rows come back in `output` unless the SQL sends them elsewhere.

        Raises `ServerError` with the engine's code.
        """
        try:
            result = self._raw.query(sql, output, params=params or {})
        except (RuntimeError, UnicodeError) as error:
            raise from_engine(str(error)) from None
        return Outcome(
            data=result.bytes() or b"",
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            # Engines before 26.7 do not tell what a statement wrote.
            written_rows=getattr(result, "rows_written", int)(),
            written_bytes=getattr(result, "bytes_written", int)(),
            result_rows=result.rows_read(),
            elapsed_seconds=result.elapsed(),
        )

    def value(self, sql: str) -> str:
        """The single value that `sql` selects, as text."""
        return self.run(sql, "TabSeparatedRaw").data.decode().removesuffix("\n")

    def close(self) -> None:
        """Free the connection with its temporary tables."""
        self._raw.close()


class Engine:
    """The engine over the data in `directory`; opens at once and recovers what a kill left.

    `memory_bytes` bounds the whole server; one query may take three quarters of it.
    Raises `ServerError` when another process holds the directory.
    """

    def __init__(self, directory: Path, *, memory_bytes: int, threads: int) -> None:
        self._directory = directory.resolve()
        self.uploads = self._directory / "uploads"
        _prepare(self._directory, memory_bytes=memory_bytes, threads=threads)
        self._path = f"{self._directory / 'data'}?config-file={self._directory / 'config.xml'}"
        # Held to the end: the engine shuts down with its last connection.
        self._first = self.connect()
        self._first.run("DROP DATABASE IF EXISTS _files")
        self._first.run("CREATE DATABASE IF NOT EXISTS default ENGINE = Atomic")
        self.version = self._first.value("SELECT version()")
        self.timezone = self._first.value("SELECT timezone()")

    def connect(self) -> Connection:
        """A fresh connection with default settings and no temporary tables, in about 1 ms."""
        import chdb

        try:
            return Connection(chdb.connect(self._path))
        except RuntimeError as error:
            raise from_engine(str(error)) from None

    def create_database(self, name: str) -> None:
        """Make the database `name` unless it is there."""
        self._first.run(f"CREATE DATABASE IF NOT EXISTS {identifier(name)}")

    def kill(self, query_id: str) -> None:
        """Stop the statement whose `log_comment` is `query_id`, if it still runs."""
        with_id = f"KILL QUERY WHERE Settings['log_comment'] = {literal(query_id)} ASYNC"
        connection = self.connect()
        try:
            connection.run(with_id)
        finally:
            connection.close()

    def close(self) -> None:
        """Close the engine; data is on disk already."""
        self._first.close()


def identifier(name: str) -> str:
    """`name` quoted as SQL writes a name."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(value: str) -> str:
    """`value` quoted as SQL writes a string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _prepare(directory: Path, *, memory_bytes: int, threads: int) -> None:
    data, uploads, empty = directory / "data", directory / "uploads", directory / "empty"
    metadata = data / "metadata"
    for folder in (metadata, uploads, empty):
        folder.mkdir(parents=True, exist_ok=True)
    for leftover in uploads.iterdir():
        leftover.unlink()
    _declare_default_database(metadata)
    users = directory / "users.xml"
    users.write_text(
        _USERS_CONFIG.format(memory=memory_bytes * 3 // 4, threads=threads), encoding="utf-8"
    )
    (directory / "config.xml").write_text(
        _SERVER_CONFIG.format(users=users, memory=memory_bytes), encoding="utf-8"
    )
    # Relative paths in SQL are resolved here, where there is nothing.
    os.chdir(empty)


def _declare_default_database(metadata: Path) -> None:
    """Make `default` an ordinary database.

    chDB would make it an overlay in which every file of the machine is a table. Its own start-up
    registers a database named `default` that has a metadata link twice and aborts; the engine
    makes the link anew.
    """
    declaration = metadata / "default.sql"
    if not declaration.exists():
        text = f"ATTACH DATABASE _ UUID '{uuid.uuid4()}'\nENGINE = Atomic\n"
        declaration.write_text(text, encoding="utf-8")
    link = metadata / "default"
    if link.is_symlink():
        link.unlink()
