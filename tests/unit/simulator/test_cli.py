"""The command line: help, option forms, exit codes of what needs no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from simulator.cli import main, replay_command, run_command
from simulator.faults import MALFORMED

NOWHERE = ["--url", "nats://127.0.0.1:1", "--patience", "0.1", "--quiet"]


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command in this process."""
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("command", [run_command, replay_command])
def test_every_option_says_what_it_is(command: object) -> None:
    """Each option has a help text, and the numeric ones state a default or what holds without."""
    for parameter in command.params:  # type: ignore[attr-defined]
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name


@pytest.mark.parametrize("command", [run_command, replay_command])
def test_every_option_and_kind_is_in_the_guide(command: object) -> None:
    """The guide names each option of both commands and each malformed kind."""
    guide = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
    for parameter in command.params:  # type: ignore[attr-defined]
        for name in parameter.opts if parameter.param_type_name == "option" else ():
            assert f"`{name}" in guide, name
    for kind in MALFORMED:
        assert f"`{kind}`" in guide, kind


def test_help_lists_both_commands() -> None:
    """``sensor-sim --help`` shows run and replay and the exit codes."""
    code, out, _ = run("--help")

    assert code == 0
    assert "run " in out
    assert "replay " in out
    assert "Exit codes: 0" in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run", "--malformed", "120%"], "'120%' is not a share"),
        (["run", "--late", "many"], "'many' is not a share"),
        (["run", "--start", "2026-01-01T00:00:00"], "is not a time like"),
        (["run", "--payload", "xml"], "'xml' is not one of"),
        (["run", "--devices", "0"], "0 is not in the range"),
        (["run", "--kind", "oversized"], "kind oversized needs oversized_bytes"),
        (["run", "--rows-per-message", "5"], "a json payload carries one"),
        (["run", "--count", "9000", "--devices", "1", "--interval", "3600"], "days ago, contract"),
        (["run", "--count", "9", "--start", "2001-01-01T00:00:00Z"], "days ago, contract readings"),
        (["run", "--count", "9", "--start", "9000-01-01T00:00:00Z"], "further ahead than contract"),
        (["run", "--contract", "reading"], "no contract 'reading'"),
        (["run", "--contract", "weather"], "contract weather has no column"),
        (["run", "--url", "http://h", "--count", "1"], "not a NATS URL"),
        (["run", "--manifest", "/nowhere/at/all.json"], "cannot be written"),
        (["replay", "f.csv", "--map", "ts"], "expected NAME=TEXT"),
        (["replay", "f.csv", "--map", "ts=t"], "nothing gives device_id"),
    ],
)
def test_wrong_usage_is_exit_2_and_one_sentence(arguments: list[str], problem: str) -> None:
    """Wrong options end with code 2 and say on stderr what was found."""
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert problem in err


def test_no_server_is_exit_1() -> None:
    """A server that does not answer within the patience is a failure, in one line."""
    code, out, err = run("run", "--count", "1", *NOWHERE)

    assert (code, out) == (1, "")
    assert err.startswith("error: NATS at 127.0.0.1:1 does not answer")
    assert err.count("\n") == 1


def test_a_missing_file_is_exit_1(tmp_path: Path) -> None:
    """A CSV file that is not there is named."""
    mapping = ["--map", "ts=t", "--map", "value=v", "--constant", "device_id=d"]
    path = str(tmp_path / "no.csv")
    code, _, err = run("replay", path, *mapping, "--constant", "metric=m", *NOWHERE)

    assert code == 1
    assert err == f"error: {path}: cannot be read: No such file or directory\n"


def test_an_empty_run_needs_no_server() -> None:
    """A run of no readings ends with an empty manifest."""
    code, out, _ = run("run", "--count", "0", "--output", "json", *NOWHERE)

    assert code == 0
    assert '"messages": 0' in out
    assert '"first_sequence": null' in out
