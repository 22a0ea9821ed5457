"""Ports, users, state, codings and errors."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstack import ports
from devstack.clickhouse import compression
from devstack.clickhouse.errors import ServerError, from_engine
from devstack.clickhouse.request import Request, multipart
from devstack.clickhouse.users import Users
from devstack.errors import DevstackError
from devstack.ports import PortWish
from devstack.state import DirectoryLock, State, read_lock


def test_a_remembered_port_is_taken_again_and_a_busy_one_is_not() -> None:
    """Remembered first, then the standard port, then any free one."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken: set[int] = set()
        wish = PortWish(busy.getsockname()[1])
        first = ports.choose({"a": wish}, remembered={}, taken=taken, ephemeral=False)["a"]
        assert first != wish.standard
    again = ports.choose({"a": wish}, remembered={"a": first}, taken=set(), ephemeral=False)
    assert again == {"a": first}
    assert ports.choose({"a": wish}, remembered={}, taken=set(), ephemeral=False) == {
        "a": wish.standard
    }


def test_a_paired_port_needs_its_partner() -> None:
    """A port whose partner 10,000 above is busy is not chosen."""
    low = ports.choose({"a": PortWish(1, paired=True)}, remembered={}, taken=set(), ephemeral=True)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", low["a"] + ports.GRPC_OFFSET))
        chosen = ports.choose(
            {"a": PortWish(low["a"], paired=True)}, remembered=low, taken=set(), ephemeral=False
        )
        assert chosen != low


def test_state_comes_back_whole_and_private(tmp_path: Path) -> None:
    """Passwords stay the same between runs and are readable by the owner only."""
    state = State(ports={"nats": {"client": 4222}}, processes={"nats": (1, 2.5)})
    password = state.secret("nats_password")
    state.save(tmp_path)
    again = State.load(tmp_path)
    assert again == state
    assert again.secret("nats_password") == password
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"secrets": 1}', '{"ports": {}}'])
def test_a_damaged_state_is_one_sentence(tmp_path: Path, text: str) -> None:
    """The sentence names the file and the way out."""
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(DevstackError, match=r"state\.json is damaged; remove it"):
        State.load(tmp_path)


def test_a_lock_left_in_the_folder_holds_nobody_up(tmp_path: Path) -> None:
    """Only a living holder counts, not what the file says."""
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "ready": True}))
    assert read_lock(tmp_path) is None
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    holder = read_lock(tmp_path)
    assert holder is not None
    assert not holder.ready
    with pytest.raises(DevstackError, match="already runs in"):
        DirectoryLock(tmp_path).acquire()
    lock.release()
    assert read_lock(tmp_path) is None


@given(st.binary(max_size=5000), st.sampled_from(["lz4", "zstd", "gzip", "deflate"]))
def test_codings_give_back_what_they_took(data: bytes, coding: str) -> None:
    """Each coding round-trips in pieces of any size."""
    encoder, decoder = compression.encoder(coding), compression.decoder(coding)
    assert decoder is not None
    packed = encoder.compress(data[:100]) + encoder.compress(data[100:]) + encoder.flush()
    plain = b"".join(decoder.decompress(packed[at : at + 7]) for at in range(0, len(packed), 7))
    assert plain == data


def test_codings_are_chosen_and_refused_by_name() -> None:
    """The fastest accepted coding wins; an unknown one is an error with ClickHouse's code."""
    assert compression.choose("gzip, zstd;q=0.5, lz4") == "lz4"
    assert compression.choose("br, identity") is None
    with pytest.raises(ServerError) as caught:
        compression.decoder("snappy")
    assert caught.value.code == 89


def test_engine_errors_keep_code_name_and_text() -> None:
    """The real server's wording is made from the engine's."""
    error = from_engine("Code: 60. DB::Exception: Unknown table 'x'. (UNKNOWN_TABLE)")
    assert (error.code, error.name, error.text) == (60, "UNKNOWN_TABLE", "Unknown table 'x'.")
    assert error.status == 404
    assert error.body("26.9") == (
        "Code: 60. DB::Exception: Unknown table 'x'. (UNKNOWN_TABLE) "
        "(version 26.9 (official build))\n"
    )
    assert from_engine("out of luck").code == 1002


def test_multipart_parts_keep_their_bytes() -> None:
    """Files may hold line ends, dashes and any byte."""
    data = b"\r\n--x\r\n\x00\xff\n"
    body = (
        b'--b1\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT 1\r\n'
        b'--b1\r\nContent-Disposition: form-data; name="t"; filename="t.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\n" + data + b"\r\n--b1--\r\n"
    )
    query, file = multipart("multipart/form-data; boundary=b1", body)
    assert (query.name, query.data, query.is_file) == ("query", b"SELECT 1", False)
    assert (file.name, file.data, file.is_file) == ("t", data, True)


def test_ways_to_log_in_are_not_mixed() -> None:
    """Basic, headers and parameters each work alone."""
    users = Users.single("joe", "secret")
    basic = {"authorization": "Basic am9lOnNlY3JldA=="}
    custom = {"x-clickhouse-user": "joe", "x-clickhouse-key": "secret"}
    given = {"user": "joe", "password": "secret"}
    for headers, params in ((basic, {}), (custom, {}), ({}, given)):
        assert Request("GET", "/", headers, params).authenticate(users).name == "joe"
    for headers, params in ((basic, given), ({}, {}), ({"authorization": "Bearer x"}, {})):
        with pytest.raises(ServerError) as caught:
            Request("GET", "/", headers, params).authenticate(users)
        assert (caught.value.code, caught.value.status) == (516, 403)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"role": "king"}, "role must be one of"),
        ({"role": "admin", "pass": "x"}, "unknown key 'pass'"),
        ({"role": "writer", "databases": "iot"}, "databases must be a list"),
    ],
)
def test_a_wrong_users_file_names_the_entry(
    tmp_path: Path, entry: dict[str, object], says: str
) -> None:
    """The message holds the user and what is wrong."""
    path = tmp_path / "users.json"
    path.write_text(json.dumps({"joe": entry}))
    with pytest.raises(ValueError, match=says):
        Users.load(path)
