"""Settings through the real command line: sources, errors, hidden secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def ingest(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs `ingest` in ``folder`` with no IOT_* variable but ``env``."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IOT_")}
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (".env", "IOT_NATS__URI=nats://x", ".env: unknown setting IOT_NATS__URI"),
        (".env", "IOT_HOT__BATCH_MAX_ROWS=many", "hot.batch_max_rows (IOT_HOT__BATCH_MAX_ROWS)"),
        (".devstack/env", "IOT_S3__BUKCET=x", "did you mean IOT_S3__BUCKET?"),
        ("iot.toml", "[stream]\nmax_age = 3\n", "did you mean stream.max_age_h?"),
        ("iot.toml", '[stream]\ndiscard = "oldest"\n', "found 'oldest'"),
        ("iot.toml", "[hot]\nbatch_max_rows = 0\n", "iot.toml: hot.batch_max_rows"),
        ("iot.toml", "[stream\n", "not TOML"),
        ("iot.toml", "[writer]\nlease_ttl_s = 0.5\n", "greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_exit_2(
    tmp_path: Path, file: str, text: str, said: str
) -> None:
    """The sentence names the file and the key, what was found and the nearest valid name."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text, encoding="utf-8")

    done = ingest(tmp_path, "settings")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_an_unknown_variable_of_the_environment_is_refused(tmp_path: Path) -> None:
    """Every command checks the settings before it does anything."""
    done = ingest(tmp_path, "status", IOT_CLICKHOUSE__URLL="http://x")

    assert done.returncode == 2
    assert "did you mean IOT_CLICKHOUSE__URL?" in done.stderr


def test_a_secret_value_is_never_repeated_in_an_error(tmp_path: Path) -> None:
    """An error about a secret setting does not show what was found."""
    (tmp_path / "iot.toml").write_text("[s3]\nsecret_key = 12345678\n", encoding="utf-8")

    done = ingest(tmp_path, "settings")

    assert done.returncode == 2
    assert "s3.secret_key" in done.stderr
    assert "12345678" not in done.stderr


def test_each_value_tells_where_it_came_from_and_hides_secrets(tmp_path: Path) -> None:
    """The stronger source wins; passwords, keys and tokens are shown nowhere."""
    (tmp_path / ".devstack").mkdir()
    (tmp_path / ".devstack" / "env").write_text(
        "IOT_NATS__URL=nats://iot:hunter2@127.0.0.1:4222\nIOT_S3__SECRET_KEY=hunter2\n"
    )
    (tmp_path / ".env").write_text("IOT_S3__REGION=from-env-file\n")
    (tmp_path / "iot.toml").write_text('[s3]\nregion = "from-toml"\nbucket = "from-toml"\n')

    done = ingest(
        tmp_path,
        "settings",
        "--output",
        "json",
        IOT_HOT__BATCH_MAX_ROWS="7",
        IOT_CLICKHOUSE__URL="https://u:hunter2@db:8443/iot",
        IOT_NATS__TOKEN="hunter2",
    )

    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert (rows["s3.region"]["value"], rows["s3.region"]["origin"]) == ("from-env-file", ".env")
    assert rows["s3.bucket"]["origin"] == "iot.toml"
    assert rows["nats.url"]["origin"] == ".devstack/env"
    assert rows["nats.url"]["value"] == "nats://iot:********@127.0.0.1:4222"
    assert rows["clickhouse.url"]["value"] == "https://u:********@db:8443/iot"
    assert (rows["hot.batch_max_rows"]["value"], rows["hot.batch_max_rows"]["origin"]) == (
        "7",
        "environment",
    )
    assert rows["lake.commit_max_rows"]["origin"] == "default"
    assert "hunter2" not in done.stdout
    assert "hunter2" not in ingest(tmp_path, "settings").stdout
