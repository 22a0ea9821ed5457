"""The proof of both lanes by `ingest verify`, and its report as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from demo.processes import Command, Commands, StepFailedError
from demo.screen import Screen

SIDES = ("stream", "clickhouse", "iceberg", "dlq")
CLAIMS = {
    "messages": "messages",
    "refused": "refused",
    "rows": "rows",
    "distinct (_seq, _idx)": "distinct rows",
    "fingerprint": "fingerprint",
}
"""Claims worth a line, each with a short name."""
ROLLUP = "rows of the minutes touched"
FINGERPRINT_DIGITS = 8
MOST_FINDINGS = 10


@dataclass(frozen=True)
class Proof:
    """One lane's report."""

    contract: str
    manifest: str
    report: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether all sides hold the same, and exactly what was sent."""
        return bool(self.report["proven"])


def prove(commands: Commands, manifests: dict[str, str]) -> list[Proof]:
    """Verifies the lanes side by side; ``manifests`` maps contracts to what was sent.

    Raises StepFailedError when a lane could not be compared.
    """
    running = {
        contract: commands.start(
            *(f"verify-{contract}", "ingest", "verify", "--contract", contract),
            *("--manifest", manifest, "--output", "json"),
        )
        for contract, manifest in manifests.items()
    }
    return [
        Proof(contract, manifests[contract], _report(command))
        for contract, command in running.items()
    ]


def show(screen: Screen, proof: Proof) -> None:
    """Shows the claims side by side, then what was sent, the findings and the verdict."""
    report = proof.report
    screen.heading(f"$ ingest verify --contract {proof.contract} --manifest {proof.manifest}")
    rows = [
        [CLAIMS[claim["name"]], *(_short(claim, side) for side in SIDES)]
        for claim in report["claims"]
        if claim["name"] in CLAIMS
    ]
    screen.table(("", "stream", "ClickHouse", "Iceberg", "dead letters"), rows)
    sent = report["manifest"]
    screen.note(
        f"Sent by {sent['devices']:,} devices: {sent['sent']:,} readings, and {sent['malformed']:,}"
        " messages that must be refused."
    )
    for claim in report["claims"]:
        if claim["name"] == ROLLUP:
            screen.note(f"Rollup against its rows: {claim['values']['rollup']}.")
    for finding in report["findings"][:MOST_FINDINGS]:
        screen.note(f"- {finding['text']}", style="red")
    screen.note(report["verdict"], style="green" if proof.holds else "red")


def _short(claim: dict[str, Any], side: str) -> str:
    value = str(claim["values"].get(side, ""))
    return value[:FINGERPRINT_DIGITS] if claim["name"] == "fingerprint" else value


def _report(command: Command) -> dict[str, Any]:
    command.wait(ok=(0, 1))
    text = command.output
    start = text.find("{\n")
    if start < 0:
        raise StepFailedError(command.why())
    report: dict[str, Any] = json.loads(text[start:])
    return report
