"""Who may connect and what they may run; the engine itself has a single user."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path

from devstack.clickhouse import errors
from devstack.clickhouse.errors import ServerError


class Role(Enum):
    """What a user may do.

    ADMIN everything the engine can; WRITER reads everything, inserts into and defines tables in
    its own databases; READER reads.
    """

    ADMIN = "admin"
    WRITER = "writer"
    READER = "reader"


@dataclass(frozen=True)
class User:
    """A user; `databases` are the shell patterns of names that a WRITER owns."""

    name: str
    role: Role
    password_sha256: str = field(repr=False)
    databases: tuple[str, ...] = ()

    def owns(self, database: str) -> bool:
        """Whether this user may change tables in `database`."""
        if self.role is Role.ADMIN:
            return True
        writer = self.role is Role.WRITER
        return writer and any(fnmatchcase(database, pattern) for pattern in self.databases)


class Users:
    """The known users, by name."""

    def __init__(self, users: list[User]) -> None:
        self._users = {user.name: user for user in users}

    @classmethod
    def load(cls, path: Path) -> Users:
        """Read a JSON file: name -> {password | password_sha256, role, databases}.

        Raises `ValueError` naming the entry that is wrong.
        """
        entries = json.loads(path.read_text(encoding="utf-8"))
        return cls([_user(name, entry) for name, entry in entries.items()])

    @classmethod
    def single(cls, name: str, password: str) -> Users:
        """One admin, as the official container image makes it."""
        return cls([User(name, Role.ADMIN, _digest(password))])

    def authenticate(self, name: str, password: str) -> User:
        """The user with this name and password; raises AUTHENTICATION_FAILED otherwise."""
        user = self._users.get(name)
        expected = user.password_sha256 if user else _digest("")
        if not hmac.compare_digest(expected, _digest(password)) or user is None:
            raise ServerError(
                errors.AUTHENTICATION_FAILED,
                f"{name}: Authentication failed: password is incorrect, "
                "or there is no user with such name.",
            )
        return user


def _user(name: str, entry: dict[str, object]) -> User:
    unknown = set(entry) - {"password", "password_sha256", "role", "databases"}
    if unknown:
        raise ValueError(f"user {name!r}: unknown key {min(unknown)!r}")
    roles = [role.value for role in Role]
    if entry.get("role") not in roles:
        raise ValueError(f"user {name!r}: role must be one of {', '.join(roles)}")
    digest = entry.get("password_sha256") or _digest(str(entry.get("password", "")))
    databases = entry.get("databases", [])
    if not isinstance(databases, list):
        raise ValueError(  # noqa: TRY004  # the file is wrong, not the caller
            f"user {name!r}: databases must be a list of names or patterns"
        )
    return User(name, Role(entry["role"]), str(digest), tuple(str(item) for item in databases))


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
