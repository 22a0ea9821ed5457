# ruff: noqa: INP001 - a folder that is run, in no package
"""What a machine on the LAN reaches: HTTP, HTTPS, TCP and DNS, from here and not from a pod."""

from __future__ import annotations

import http.client
import secrets
import socket
import ssl
import struct
from dataclasses import dataclass

from report import CheckError

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """Status, headers' location and the beginning of the body of one HTTP answer."""

    status: int
    location: str
    body: str


def context(authority: str | None) -> ssl.SSLContext:
    """TLS that trusts one CA, or what the system trusts; names are not compared with addresses."""
    made = ssl.create_default_context(cadata=authority)
    made.check_hostname = False
    return made


def get(
    address: str, port: int, path: str, *, tls: ssl.SSLContext | None = None, host: str = ""
) -> Answer:
    """GET a path from an address; with a host, as that name (and its SNI)."""
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(address, port, timeout=TIMEOUT_S, context=tls)
        if tls
        else http.client.HTTPConnection(address, port, timeout=TIMEOUT_S)
    )
    try:
        if tls and host:
            raw = socket.create_connection((address, port), timeout=TIMEOUT_S)
            connection.sock = tls.wrap_socket(raw, server_hostname=host)
        connection.request("GET", path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        body = answer.read(65536).decode(errors="replace")
        return Answer(answer.status, answer.getheader("Location", ""), body)
    except ssl.SSLCertVerificationError as error:
        raise CheckError(
            f"{address}:{port}: certificate not trusted: {error.verify_message}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise CheckError(f"{address}:{port}{path}: {error}") from error
    finally:
        connection.close()


def open_port(address: str, port: int) -> str:
    """Connect to a port."""
    try:
        socket.create_connection((address, port), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise CheckError(f"{address}:{port}: {error}, expected an open port") from error
    return f"{address}:{port} is open"


def closed_port(address: str, port: int) -> str:
    """Be refused by a port, or not be answered."""
    try:
        socket.create_connection((address, port), timeout=3.0).close()
    except OSError:
        return f"{address}:{port} is closed"
    raise CheckError(f"{address}:{port} is open, expected it to be closed to the LAN")


def resolve(server: str, name: str) -> list[str]:
    """The IPv4 addresses of a name, asked of one DNS server."""
    number = secrets.randbelow(65536)
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    question = labels + b"\0" + struct.pack("!HH", 1, 1)
    query = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(TIMEOUT_S)
        try:
            link.sendto(query, (server, 53))
            answer = link.recv(4096)
        except OSError as error:
            raise CheckError(f"{server}:53: {error}, expected an answer for {name}") from error
    got, flags, _, count, _, _ = struct.unpack("!HHHHHH", answer[:12])
    if got != number or flags & 0x000F:
        raise CheckError(f"{server}: code {flags & 0x000F} for {name}, expected an address")
    return list(addresses(answer, 12 + len(question), count))


def addresses(answer: bytes, place: int, count: int) -> list[str]:
    """The A records of a DNS answer; aliases on the way are passed over."""
    found = []
    for _ in range(count):
        while answer[place] and answer[place] < 0xC0:
            place += answer[place] + 1
        place += 2 if answer[place] >= 0xC0 else 1
        kind, _, _, length = struct.unpack("!HHIH", answer[place : place + 10])
        place += 10
        if kind == 1:
            found.append(socket.inet_ntoa(answer[place : place + 4]))
        place += length
    return found
