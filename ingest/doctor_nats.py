"""Doctor's look at NATS: server, streams, kept records, permissions."""

from __future__ import annotations

import secrets
import time
from typing import Any

from nats.js.errors import APIError, NotFoundError

from ingest.contract import Contract
from ingest.dlq import STREAM as DEAD_LETTERS
from ingest.doctor_finding import Finding, Findings
from ingest.errors import IngestError
from ingest.kept import BUCKET, LEASE_BUCKET, open_bucket
from ingest.lane_mapping import lanes_beyond, wrong_mappings
from ingest.lanes import mappings
from ingest.ledger import STREAM as LEDGER
from ingest.nats_link import NatsLink, connect
from ingest.provision_streams import differences, setting_of, wanted_streams
from ingest.registry import RegistryStore
from ingest.settings import Settings
from ingest.stream_check import problems
from ingest.stream_configs import DEAD_LETTER_OVERHEAD_BYTES
from ingest.stream_info import nanoseconds

OLDEST_VERSION = (2, 10)
CLOCKS_APART_S = 2.0
ALMOST_FULL = 0.8
INIT = "run `ingest init`"
Info = dict[str, Any]


async def examine(settings: Settings, contract: Contract, *, mapping: bool = True) -> list[Finding]:
    """Findings on NATS; the first one alone when it does not answer.

    ``mapping`` looks at the mapping of all lanes too, with probes.
    """
    findings = Findings("NATS")
    try:
        link = await connect(settings.nats, "ingest-doctor", patient=False)
    except IngestError as error:
        findings.problem(
            "connection", error, "start NATS, or correct nats.url (IOT_NATS__URL) or credentials"
        )
        return findings.all
    try:
        findings.ok("connection", f"server {link.client.connected_server_version}")
        if await _examine_server(link, findings):
            await _examine_streams(link, settings, contract, findings)
            if mapping:
                await _examine_lanes(link, settings, contract, findings)
            await _examine_records(link, settings, contract, findings)
            await _examine_permissions(link, contract, findings)
    except (IngestError, APIError) as error:
        findings.problem("answers", error, "look into the server's log")
    finally:
        await link.close()
    return findings.all


async def _examine_server(link: NatsLink, findings: Findings) -> bool:
    version = link.client.connected_server_version
    findings.require(
        "version",
        version,
        f"use NATS {'.'.join(map(str, OLDEST_VERSION))} or newer",
        fine=(version.major, version.minor) >= OLDEST_VERSION,
    )
    try:
        account = await link.api("INFO")
    except (IngestError, APIError) as error:
        findings.problem("JetStream", error, "turn JetStream on in the server and for the account")
        return False
    limit = account["limits"]["max_storage"]
    findings.ok("JetStream", f"on, storage {'without limit' if limit < 0 else f'{limit} bytes'}")
    return True


async def _examine_streams(
    link: NatsLink, settings: Settings, contract: Contract, findings: Findings
) -> None:
    for wanted in wanted_streams(settings, contract, link.client.max_payload):
        name = wanted["name"]
        check = f"stream {name}"
        info = await _info(link, name)
        if info is None:
            findings.problem(check, "missing", INIT)
            continue
        found = [(problem, f"`nats stream edit {name}`") for problem in problems(info["config"])]
        if name == contract.stream:
            found += _lane_problems(info, wanted, link.client.max_payload)
            _compare_clocks(info, findings)
        if name in (DEAD_LETTERS, LEDGER):
            found += _keeper_problems(info, wanted)
        for problem, mend in found:
            findings.problem(check, problem, mend)
        told = differences(wanted, info["config"])
        for option, (is_now, should) in told.items() if not found else ():
            findings.note(
                check,
                f"{option} is {is_now}, {setting_of(option)} says {should}",
                "`ingest init --update` grows it, `nats stream edit` changes it",
            )
        if not found and not told:
            findings.ok(check, f"{info['state']['messages']} messages")


def _lane_problems(info: Info, wanted: Info, max_payload: int) -> list[tuple[str, str]]:
    config, found = info["config"], []
    missing = set(wanted["subjects"]) - set(config.get("subjects") or [])
    if missing and not (config.get("mirror") or config.get("sources")):
        found.append(
            (f"does not take {', '.join(sorted(missing))}", f"`nats stream edit {config['name']}`")
        )
    largest, fits = config.get("max_msg_size", -1), max_payload - DEAD_LETTER_OVERHEAD_BYTES
    if not 0 < largest <= fits:
        found.append(
            (
                f"max_msg_size is {largest}: a refused message that large could not go to the DLQ",
                f"set it to at most {fits} (the server's max_payload less 8 KiB)",
            )
        )
    return found


def _keeper_problems(info: Info, wanted: Info) -> list[tuple[str, str]]:
    """The dead-letter queue and the ledger forget nothing and refuse when they are full."""
    config, state, found = info["config"], info["state"], []
    mend = f"`nats stream edit {config['name']}`"
    if config.get("discard") != "new":
        found.append((f"discard is {config.get('discard')}, expected new: it would forget", mend))
    if config.get("max_age"):
        found.append((f"max_age is {config['max_age'] / 1e9:.0f} s, expected none", mend))
    if wanted.get("allow_rollup_hdrs") and not config.get("allow_rollup_hdrs"):
        found.append(("allow_rollup_hdrs is off: replay and purge need it", mend))
    if wanted.get("allow_rollup_hdrs") and config.get("deny_purge"):
        found.append(("deny_purge is on: replay and purge need it off", mend))
    limit = config.get("max_bytes", -1)
    if limit > 0 and state["bytes"] > ALMOST_FULL * limit:
        found.append(
            (
                f"{state['bytes']} of {limit} bytes are used; a full one stops the writers",
                "`ingest dlq purge`, or more stream.dlq_max_bytes and `ingest init --update`",
            )
        )
    return found


def _compare_clocks(info: Info, findings: Findings) -> None:
    apart = abs(time.time() - nanoseconds(info["ts"]) / 1e9)
    findings.require(
        "clock",
        f"{apart:.1f} s apart from this machine's",
        "set both by NTP: readings too far ahead of the server's time are refused",
        fine=apart < CLOCKS_APART_S,
    )


async def _examine_lanes(
    link: NatsLink, settings: Settings, contract: Contract, findings: Findings
) -> None:
    """Whether the messages reach the lanes that are written, and no other."""
    needed = mappings(settings)
    wrong = await wrong_mappings(link, needed)
    for problem in wrong:
        findings.note(
            "subject mapping", problem, "`ingest init` prints the block for the server's file"
        )
    if needed and not wrong:
        findings.ok("subject mapping", f"spreads {needed[0].stream} over {needed[0].lanes} lanes")
    if settings.lanes.only:
        return
    count = settings.lanes.count
    for stream in await lanes_beyond(link, contract.stream, count):
        findings.note(
            f"stream {stream}",
            f"a lane of {contract.stream} that lanes.count ({count}) leaves out",
            "its messages are not stored: raise lanes.count, or take it off the mapping and drain"
            " it first, then delete it",
        )


async def _examine_records(
    link: NatsLink, settings: Settings, contract: Contract, findings: Findings
) -> None:
    for bucket, ttl_s in ((BUCKET, 0.0), (LEASE_BUCKET, settings.writer.lease_ttl_s)):
        info = await _info(link, f"KV_{bucket}")
        if info is None:
            findings.problem(f"key-value bucket {bucket}", "missing", INIT)
            continue
        age_s = info["config"].get("max_age", 0) / 1e9
        findings.require(
            f"key-value bucket {bucket}",
            f"time to live {age_s:g} s" if age_s else "keeps entries",
            f"expected {ttl_s:g} s (writer.lease_ttl_s)"
            if ttl_s
            else "records would vanish: `nats stream edit` to no max_age",
            fine=age_s == ttl_s,
        )
    try:
        store = RegistryStore(link, await open_bucket(link), contract.stream)
        if await store.peek() is None:
            findings.problem("registry", f"none for {contract.stream}", INIT)
            return
        registry = await store.open(contract)
        newest = registry.record.versions[-1].number
        findings.ok("registry", f"contract version {newest}, epoch {registry.epoch.id}")
    except IngestError as error:
        findings.problem("registry", error, "see `ingest schema diff`")


async def _examine_permissions(link: NatsLink, contract: Contract, findings: Findings) -> None:
    """Does what a writer does, and takes it back: a kept record, a consumer."""
    token = secrets.token_hex(6)
    try:
        bucket = await open_bucket(link)
        revision = await bucket.compare_and_set(f"probe.{token}", b"1", 0)
        await bucket.compare_and_set(f"probe.{token}", b"2", revision)
        await bucket.delete(f"probe.{token}")
        findings.ok("writing records")
    except (IngestError, APIError) as error:
        findings.problem("writing records", error, f"allow publishing to $KV.{BUCKET}.>")
    name = f"probe-{token}"
    config = {"name": name, "ack_policy": "none", "mem_storage": True, "num_replicas": 1}
    try:
        await link.api(
            f"CONSUMER.CREATE.{contract.stream}.{name}",
            {"stream_name": contract.stream, "config": config},
        )
        await link.api(f"CONSUMER.DELETE.{contract.stream}.{name}")
        findings.ok("making consumers")
    except (IngestError, APIError) as error:
        findings.problem("making consumers", error, f"allow $JS.API.CONSUMER.*.{contract.stream}.>")


async def _info(link: NatsLink, stream: str) -> Info | None:
    try:
        return await link.api(f"STREAM.INFO.{stream}", {})
    except NotFoundError:
        return None
