"""Statements on a real Trino: what they cost, how they are killed, how they fail."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from devstack.supervisor import Devstack
from pipelines.cancel import Cancel
from pipelines.errors import TrinoRefused, TrinoUnavailable, WorkCancelled
from pipelines.settings import TrinoSettings, load_pipeline_settings
from pipelines.trino_client import MAINTENANCE, Trino
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)

ENDLESS = (
    "SELECT count(*) FROM tpch.sf100.lineitem a JOIN tpch.sf100.lineitem b"
    " ON a.partkey = b.partkey AND a.comment < b.comment"
)


@pytest.fixture
def settings(trino_stack: Devstack) -> TrinoSettings:
    """How to reach the platform's Trino."""
    names = {k.removeprefix("IOT_").lower(): v for k, v in trino_stack.env.items()}
    given = {name: value for name, value in names.items() if name.startswith("trino__")}
    return load_pipeline_settings(trino_stack.directory, **given).trino


def test_a_statement_tells_its_rows_and_cost(settings: TrinoSettings) -> None:
    """Parameters are bound, whatever quotes they hold; figures are those of Trino."""
    done = Trino(settings).execute(
        "SELECT name, ? FROM tpch.tiny.nation WHERE regionkey = ?", ("it's", 1)
    )

    assert len(done.rows) == 5
    assert {told for _, told in done.rows} == {"it's"}
    assert done.query_id
    assert done.rows_read == 25
    assert done.elapsed_s > 0


def test_a_statement_is_killed_from_another_thread(settings: TrinoSettings) -> None:
    """It ends as cancelled with the reason; Trino has it as killed, under its source."""
    cancel, trino = Cancel(), Trino(settings)
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(Trino(settings, MAINTENANCE).execute, ENDLESS, (), cancel)
        query_id = until(lambda: _running(trino), "a running query")
        cancel.cancel("hot p99 9 s")
        with pytest.raises(WorkCancelled, match="hot p99 9 s"):
            endless.result(60)

    rows = trino.query(
        "SELECT state, error_code, source FROM system.runtime.queries WHERE query_id = ?",
        (query_id,),
    )
    assert rows == [("FAILED", "ADMINISTRATIVELY_KILLED", MAINTENANCE)]


def test_a_statement_that_was_cancelled_before_is_never_sent(settings: TrinoSettings) -> None:
    """A unit that was told to end in the meantime leaves no query behind."""
    cancel = Cancel()
    cancel.cancel("too late")

    with pytest.raises(WorkCancelled, match="too late"):
        Trino(settings, MAINTENANCE).execute(ENDLESS, cancel=cancel)
    assert not _running(Trino(settings))


def test_killing_what_is_over_is_harmless_and_what_never_was_too(settings: TrinoSettings) -> None:
    """A query can end while it is being killed."""
    trino = Trino(settings)
    over = trino.execute("SELECT 1").query_id

    trino.kill(over, "late")
    trino.kill("20200101_000000_00000_aaaaa", "never there")

    assert not trino.is_running(over)


def test_a_refused_statement_and_refused_credentials_are_terminal(
    settings: TrinoSettings,
) -> None:
    """The sentence names Trino's reason, or the setting with the password."""
    with pytest.raises(TrinoRefused, match="TABLE_NOT_FOUND"):
        Trino(settings).query("SELECT * FROM tpch.tiny.nothing")
    wrong = settings.url.get_secret_value().split("@")[1]
    stranger = settings.model_copy(update={"url": SecretStr(f"https://iot:wrong@{wrong}")})
    with pytest.raises(TrinoRefused, match="IOT_TRINO__URL"):
        Trino(stranger).query("SELECT 1")
    gc.collect()  # a connection that was left open would fail the test here


def test_a_certificate_of_an_unknown_ca_is_terminal(settings: TrinoSettings) -> None:
    """The sentence names the setting with the CA."""
    with pytest.raises(TrinoRefused, match="IOT_TRINO__CA_FILE"):
        Trino(settings.model_copy(update={"ca_file": None})).query("SELECT 1")


def test_a_trino_that_is_not_there_is_transient() -> None:
    """An impatient client says so at once."""
    away = TrinoSettings(url=SecretStr("http://iot@127.0.0.1:9"))

    with pytest.raises(TrinoUnavailable, match="does not answer"):
        Trino(away, patient=False).query("SELECT 1")


def _running(trino: Trino) -> str:
    rows = trino.query(
        "SELECT query_id FROM system.runtime.queries WHERE source = ? AND state = 'RUNNING'",
        (MAINTENANCE,),
    )
    return str(rows[0][0]) if rows else ""
