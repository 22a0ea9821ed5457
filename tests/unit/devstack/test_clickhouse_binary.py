"""The configuration for a real server is well-formed and has the embedded server's users."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from devstack.clickhouse_binary import prepare
from devstack.clickhouse_server import ClickHouse
from devstack.service import Place


def test_users_and_grants_of_a_real_server(tmp_path: Path) -> None:
    """Three users, hashed passwords, grants on the own databases only for the writer."""
    secrets = {name: f"secret-{name}" for name in ClickHouse.secrets}
    launch = prepare("/bin/clickhouse", Place(tmp_path, {"http": 8124}, secrets), "iot")

    assert launch.arguments == ["/bin/clickhouse", "server", f"--config-file={tmp_path}/config.xml"]
    config = ET.parse(tmp_path / "config.xml").getroot()
    assert (config.findtext("http_port"), config.findtext("listen_host")) == ("8124", "127.0.0.1")
    users = ET.parse(str(config.findtext("users_config"))).getroot()
    grants = {
        user.tag: [query.text for query in user.iter("query")] for user in users.find("users") or ()
    }
    assert grants["admin"] == ["GRANT ALL ON *.*"]
    assert "GRANT INSERT ON iot.*" in grants["writer"]
    assert "GRANT INSERT ON iot_*.*" in grants["writer"]
    reading = ("GRANT SELECT", "GRANT SHOW", "GRANT S3")
    assert all(str(grant).startswith(reading) for grant in grants["reader"])
    assert "secret-" not in (tmp_path / "users.xml").read_text()
