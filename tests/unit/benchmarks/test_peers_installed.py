"""Which peers are wanted, and whether they are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.cases import PEERS
from benchmarks.peers.installed import (
    REASON,
    STAMP,
    PeerMissingError,
    Wanted,
    cache,
    folder_of,
    stamp,
    wanted,
)

PEER = Wanted("some", pip=("some==1",))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def installed(peer: Wanted) -> Path:
    """The peer's folder as an installation leaves it."""
    folder = cache() / peer.name
    folder.mkdir(parents=True)
    (folder / STAMP).write_text(stamp(peer), encoding="utf-8")
    return folder


def test_every_case_has_a_package_of_one_exact_version() -> None:
    """Otherwise two runs of the benchmark could compare different things."""
    packages = wanted()

    assert {peer.package for peer in PEERS} == set(packages)
    for one in packages.values():
        assert all("==" in requirement for requirement in one.pip)
        assert one.pip or "@v" in (one.go or one.module)


def test_an_installed_peer_is_found() -> None:
    """Its folder is where the programs are."""
    folder = installed(PEER)

    assert folder_of(PEER) == folder


def test_another_version_than_the_installed_one_is_missing() -> None:
    """A changed line of versions.toml asks for a new installation."""
    installed(PEER)

    with pytest.raises(PeerMissingError, match="make bench-peers-install"):
        folder_of(Wanted("some", pip=("some==2",)))


def test_the_reason_of_a_failed_installation_is_told() -> None:
    """The benchmark repeats it beside the peer's name."""
    folder = cache() / PEER.name
    folder.mkdir(parents=True)
    (folder / REASON).write_text("there is no Go on this machine\n", encoding="utf-8")

    with pytest.raises(PeerMissingError, match="no Go"):
        folder_of(PEER)
