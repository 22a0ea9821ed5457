"""The proof of all lanes of a contract: each for itself, the manifests over all together."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from ingest.proof.facts import EmptyLaneError, gathered
from ingest.proof.findings import Finding
from ingest.proof.manifest import Compared, ManifestResult
from ingest.proof.manifest import check as check_manifest
from ingest.proof.report import Report
from ingest.settings import Settings
from ingest.verify import Progress, VerifyOptions, verify


@dataclass
class Proof:
    """A report for each lane; ``empty`` lanes never had a message.

    ``manifest`` is held against several lanes together; that of a single one is in its report.
    """

    reports: list[Report] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    manifest: ManifestResult | None = None
    manifest_findings: list[Finding] = field(default_factory=list)

    @property
    def proven(self) -> bool:
        """Whether everything that was compared is equal, in every lane."""
        return all(one.proven for one in self.reports) and not self.manifest_findings

    def verdict(self) -> str:
        """One line for all lanes."""
        rows = sum(one.reference.rows for one in self.reports)
        lanes = f"{len(self.reports)} lanes: {rows:,} rows"
        if self.proven:
            return f"PROVEN {lanes}"
        wrong = [one.lane for one in self.reports if not one.proven]
        told = ", ".join([*wrong, *(["manifest"] if self.manifest_findings else [])])
        return f"NOT PROVEN {lanes}: {told}"

    def as_dict(self) -> dict[str, object]:
        """For JSON: the report of a single lane as it is, else all of them under ``lanes``."""
        if len(self.reports) == 1 and not self.empty and self.manifest is None:
            return self.reports[0].as_dict()
        return {
            "proven": self.proven,
            "verdict": self.verdict(),
            "lanes": [one.as_dict() for one in self.reports],
            "empty": self.empty,
            "manifest": msgspec.to_builtins(self.manifest) if self.manifest else None,
            "findings": [one.as_dict() | {"text": str(one)} for one in self.manifest_findings],
        }


async def verify_lanes(
    lanes: Sequence[Settings], options: VerifyOptions, progress: Progress
) -> Proof:
    """Compares each lane as ``verify`` does, and raises as it.

    A lane that never had a message is no obstacle when others had one.
    """
    if len(lanes) == 1:
        return Proof([await verify(lanes[0], options, progress)])
    proof = Proof()
    for one in lanes:
        try:
            proof.reports.append(await verify(one, replace(options, manifests=()), progress))
        except EmptyLaneError as error:
            proof.empty.append(error.lane)
            if len(proof.empty) == len(lanes):
                raise
    if options.manifests:
        proof.manifest, proof.manifest_findings = await _held(lanes, options.manifests)
    return proof


async def _held(
    lanes: Sequence[Settings], paths: Sequence[Path]
) -> tuple[ManifestResult, list[Finding]]:
    """What was acknowledged to the senders against what all lanes hold together."""
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(gathered(one, full=False)) for one in lanes]
        used = [facts for facts in opened if facts.state.last_seq]
        compared = [Compared(facts, facts.known(None).upto.sequence) for facts in used]
        return await check_manifest(compared, paths)
