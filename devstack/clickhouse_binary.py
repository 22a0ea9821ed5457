"""Configuration for a real ClickHouse server, with the same users as the embedded one."""

from __future__ import annotations

import hashlib
from xml.sax.saxutils import escape

from devstack.service import Launch, Place, write_private

_CONFIG = """<clickhouse>
    <logger><level>warning</level><console>1</console></logger>
    <listen_host>127.0.0.1</listen_host>
    <http_port>{port}</http_port>
    <path>{path}/</path>
    <tmp_path>{path}/tmp/</tmp_path>
    <user_files_path>{path}/user_files/</user_files_path>
    <users_config>{users}</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <mark_cache_size>134217728</mark_cache_size>
    <max_server_memory_usage>2147483648</max_server_memory_usage>
</clickhouse>
"""
_USER = """<{name}>
        <password_sha256_hex>{digest}</password_sha256_hex>
        <networks><ip>127.0.0.1</ip></networks>
        <profile>default</profile>
        <quota>default</quota>
        <grants>{grants}</grants>
    </{name}>"""


def prepare(binary: str, place: Place, database: str) -> Launch:
    """Write config.xml and users.xml and say how to start `binary` with them."""
    config, users = place.directory / "config.xml", place.directory / "users.xml"
    data = place.directory / "server"
    metadata = data / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    # The users own the database but nobody would be there to create it.
    declaration = metadata / f"{database}.sql"
    if not declaration.exists():
        declaration.write_text("ATTACH DATABASE _ ENGINE = Atomic\n", encoding="utf-8")
    write_private(users, _users(place, database))
    text = _CONFIG.format(port=place.ports["http"], path=escape(str(data)), users=users)
    write_private(config, text)
    return Launch([binary, "server", f"--config-file={config}"])


def _users(place: Place, database: str) -> str:
    read = ["SELECT ON *.*", "SHOW ON *.*", "S3 ON *.*"]
    own = [f"{kind} ON {name}.*" for name in (database, f"{database}_*") for kind in _OWNING]
    grants = {"admin": ["ALL ON *.*"], "writer": [*read, *own], "reader": read}
    users = "\n    ".join(_user(place, name, given) for name, given in grants.items())
    return (
        "<clickhouse>\n<profiles><default/></profiles>\n<quotas><default/></quotas>\n"
        f"<users>\n    {users}\n</users>\n</clickhouse>\n"
    )


_OWNING = (
    *("INSERT", "CREATE DATABASE", "CREATE TABLE", "CREATE VIEW", "ALTER", "DROP", "TRUNCATE"),
    *("OPTIMIZE",),
)


def _user(place: Place, name: str, grants: list[str]) -> str:
    password = place.secrets[f"clickhouse_{name}_password"]
    digest = hashlib.sha256(password.encode()).hexdigest()
    queries = "".join(f"<query>GRANT {grant}</query>" for grant in grants)
    return _USER.format(name=name, digest=digest, grants=queries)
