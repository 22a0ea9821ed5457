"""Verdicts of the cheap checks from one look at the lane. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipelines.quality_look import ICEBERG, NATS, LaneLook, SinkLook
from pipelines.quality_verdict import Verdict, unknown
from pipelines.settings import QualitySettings

FRESH_HOT = "clickhouse_is_fresh"
FRESH_LAKE = "iceberg_is_fresh"
CHAIN = "snapshots_follow_each_other"
WATERMARK = "watermark_is_the_newest_commit"
REFUSED = "few_messages_are_refused"
PROOF_AGE = "proof_keeps_up"
CHECKS = {
    FRESH_HOT: "ClickHouse holds what was stored longer than a bound ago; silence counts as fresh",
    FRESH_LAKE: "Iceberg holds what was stored longer than a bound ago; silence counts as fresh",
    CHAIN: "each of the lane's commits begins where the one before ended, by their summaries",
    WATERMARK: "the table's watermark is the end of its newest commit",
    REFUSED: "the share of refused messages in the last hour is below a bound",
    PROOF_AGE: "what both sinks hold is proven within a bound",
}
"""What each check says when it is green."""
PROVEN_UPTO = "proven_upto"
"""The number of PROOF_AGE that tells the last proven sequence."""


def verdicts(look: LaneLook, bounds: QualitySettings) -> list[Verdict]:
    """The verdict of every cheap check at the time of the look."""
    return [
        fresh_hot(look, bounds),
        fresh_lake(look, bounds),
        chain(look),
        watermark(look),
        refused(look, bounds),
        proof_age(look, bounds),
    ]


def fresh_hot(look: LaneLook, bounds: QualitySettings) -> Verdict:
    """ClickHouse holds what was stored longer than a bound ago; silence of the sensors is fresh."""
    return _fresh(FRESH_HOT, ("ClickHouse", look.hot, bounds.fresh_hot_s), look)


def fresh_lake(look: LaneLook, bounds: QualitySettings) -> Verdict:
    """Iceberg holds what was stored longer than a bound ago; silence of the sensors is fresh."""
    return _fresh(FRESH_LAKE, ("Iceberg", look.lake, bounds.fresh_lake_s), look)


def chain(look: LaneLook) -> Verdict:
    """Each of the lane's commits begins where the one before ended; the first few gaps are told."""
    report = look.chain
    if report is None:
        return unknown(CHAIN, look.why(ICEBERG, NATS))
    covered = f"sequences {report.covered}" if report.covered else "none yet"
    text = f"{report.commits:,} commits follow each other: {covered}"
    if report.gaps:
        text = f"{len(report.gaps)} gaps between commits: {'; '.join(report.gaps[:5])}"
    numbers = {"commits": report.commits, "gaps": len(report.gaps), "gaps_allowed": 0}
    rows = [(one,) for one in report.gaps]
    return Verdict(CHAIN, not report.gaps, text, numbers, ("gap",) if rows else (), rows)


def watermark(look: LaneLook) -> Verdict:
    """The watermark property says what the newest commit's own summary says."""
    report = look.chain
    if report is None:
        return unknown(WATERMARK, look.why(ICEBERG, NATS))
    position = look.lake.position if look.lake else 0
    numbers = {"watermark": position, "newest_commit": report.newest or 0}
    if report.strayed:
        return Verdict(WATERMARK, passed=False, text=report.strayed, numbers=numbers)
    text = f"the newest commit and the watermark end at {position:,}"
    if not report.commits:
        text = "no commit of the lane has a snapshot left to compare the watermark with"
    return Verdict(WATERMARK, passed=True, text=text, numbers=numbers)


def refused(look: LaneLook, bounds: QualitySettings) -> Verdict:
    """The share of refused messages in the last hour is below a bound."""
    found = look.refusals
    if found is None:
        return unknown(REFUSED, look.why(NATS))
    share = found.refused / max(found.messages, found.refused, 1)
    told = f"{found.refused:,} of {found.messages:,} messages of the last hour were refused"
    text = f"{told}: {share:.2%}, {bounds.refused_share_max:.2%} allowed"
    numbers = {
        "refused": found.refused,
        "messages": found.messages,
        "share": round(share, 6),
        "share_allowed": bounds.refused_share_max,
    }
    return Verdict(REFUSED, share <= bounds.refused_share_max, text, numbers)


def proof_age(look: LaneLook, bounds: QualitySettings) -> Verdict:
    """What both sinks hold is proven within a bound."""
    if look.proof is None:
        if look.hot is None or look.lake is None:
            return unknown(PROOF_AGE, look.why(NATS, ICEBERG))
        return Verdict(
            PROOF_AGE, passed=True, text="a sink holds nothing yet: nothing can be proven"
        )
    found = look.proof
    last = found.proven.last if found.proven else 0
    text = f"everything that both sinks hold is proven, up to {last:,}"
    if found.left:
        text = (
            f"{found.left:,} sequences after {last:,} are in both sinks and not proven; the oldest"
            f" was stored {_ago(found.waiting_s, look.at)}, {bounds.proof_max_age_s:,.0f} s allowed"
        )
    numbers = {
        PROVEN_UPTO: last,
        "left": found.left,
        "waiting_s": round(found.waiting_s, 3),
        "waiting_s_allowed": bounds.proof_max_age_s,
    }
    return Verdict(PROOF_AGE, found.waiting_s <= bounds.proof_max_age_s, text, numbers)


def _fresh(name: str, sink: tuple[str, SinkLook | None, float], look: LaneLook) -> Verdict:
    system, found, allowed_s = sink
    if found is None:
        return unknown(name, look.why(NATS, ICEBERG))
    text = f"{system} holds everything up to {found.position:,}, the end of the stream"
    if found.lag_messages:
        writer = "" if found.writer else "; nobody writes (`ingest run`)"
        text = (
            f"{system} lacks {found.lag_messages:,} messages after {found.position:,}; the oldest"
            f" was stored {_ago(found.waiting_s, look.at)}, {allowed_s:g} s allowed{writer}"
        )
    numbers = {
        "waiting_s": round(found.waiting_s, 3),
        "waiting_s_allowed": allowed_s,
        "lag_messages": found.lag_messages,
        "position": found.position,
        "stream_last": look.stream_last,
    }
    return Verdict(name, found.waiting_s <= allowed_s, text, numbers)


def _ago(seconds: float, now: datetime) -> str:
    moment = now.astimezone(UTC) - timedelta(seconds=seconds)
    return f"{seconds:,.1f} s ago ({moment:%Y-%m-%d %H:%M:%S} UTC)"
