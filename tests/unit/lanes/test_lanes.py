"""Names, subjects and mappings of lanes, which ask no server."""

from __future__ import annotations

import pytest

from ingest.contract import load_contract
from ingest.errors import SettingsError
from ingest.lanes import (
    Mapping,
    bound_subjects,
    each_lane,
    inlet,
    lane_contract,
    mappings,
    mappings_block,
)
from ingest.settings import Settings

READINGS = load_contract("readings")


def laned(count: int, by: str = "readings.*.*.>", only: int | None = None) -> Settings:
    """Settings with lanes."""
    return Settings.model_validate({"lanes": {"count": count, "by": by, "only": only}})


def used(settings: Settings) -> None:
    """What each command asks of the lanes."""
    lane_contract(settings)
    mappings(settings)


def test_a_single_lane_is_the_contract_as_it_is() -> None:
    """Without lanes nothing changes: stream, subjects, ports."""
    settings = Settings()
    assert each_lane(settings) == [settings]
    assert lane_contract(settings) == READINGS
    assert bound_subjects(settings, READINGS) == {"subjects": ["readings.>"]}
    assert inlet(settings) == ""
    assert mappings(settings) == []
    assert mappings_block([]) == "mappings = {}"


def test_lanes_are_streams_of_their_own_on_the_same_tables() -> None:
    """Lane 0 keeps the contract's stream and takes what is not mapped."""
    lanes = each_lane(laned(3))
    contracts = [lane_contract(one) for one in lanes]
    assert [one.stream for one in contracts] == ["READINGS", "READINGS_1", "READINGS_2"]
    assert {(one.namespace, one.table) for one in contracts} == {("iot", "readings")}
    assert [bound_subjects(*pair)["subjects"] for pair in zip(lanes, contracts, strict=True)] == [
        ["readings.>", "lanes.READINGS.0.>"],
        ["lanes.READINGS.1.>"],
        ["lanes.READINGS.2.>"],
    ]
    transform = bound_subjects(lanes[2], contracts[2])["subject_transform"]
    assert transform == {"src": "lanes.READINGS.2.>", "dest": ">"}


def test_writers_of_lanes_listen_on_ports_of_their_own() -> None:
    """On one machine; a port of 0 stays any free one."""
    ports = [(one.http.hot_port, one.http.lake_port) for one in each_lane(laned(3))]
    assert ports == [(9464, 9465), (9466, 9467), (9468, 9469)]
    any_port = Settings.model_validate(
        {"lanes": {"count": 2, "by": "readings.*.>"}, "http": {"hot_port": 0}}
    )
    assert [one.http.hot_port for one in each_lane(any_port)] == [0, 0]


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("r.*.>", "lanes.S.{{partition(4,1)}}.r.{{wildcard(1)}}.>"),
        ("r.*.x.*", "lanes.S.{{partition(4,1,2)}}.r.{{wildcard(1)}}.x.{{wildcard(2)}}"),
        ("*.*", "lanes.S.{{partition(4,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}"),
    ],
)
def test_a_mapping_keeps_the_subject_behind_the_lane(source: str, destination: str) -> None:
    """Every * takes part in the choice and stays in the subject."""
    assert Mapping("S", source, 4).destination == destination


def test_the_block_has_a_line_for_each_subject() -> None:
    """Several patterns share the lanes."""
    found = mappings_block(mappings(laned(2, "readings.*.>, other.*")))
    assert found.splitlines() == [
        "mappings = {",
        '  "readings.*.>": "lanes.READINGS.{{partition(2,1)}}.readings.{{wildcard(1)}}.>"',
        '  "other.*": "lanes.READINGS.{{partition(2,1)}}.other.{{wildcard(1)}}"',
        "}",
    ]


def test_examples_reach_every_lane() -> None:
    """So that a look at the server's choice sees all of them."""
    mapping = Mapping("S", "r.*.*.>", 16)
    assert {mapping.lane_of(mapping.example(number)) for number in range(128)} == set(range(16))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (laned(3, by="", only=0), "lanes.by must say which tokens"),
        (laned(3, by="readings.>", only=0), "found 'readings.>', expected a subject with a *"),
        (laned(3, by="readings.*.>.x", only=0), "found 'readings.*.>.x'"),
        (laned(3, by="readings.*.{{x}}", only=0), "expected a subject with a *"),
        (laned(3, only=3), "found 3, expected less than lanes.count, which is 3"),
        (laned(3), "there are 3 lanes; say which with --lane 0 to 2"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: Settings, problem: str) -> None:
    """One sentence, exit 2."""
    with pytest.raises(SettingsError, match=problem.replace("*", r"\*").replace("{", r"\{")):
        used(settings)
