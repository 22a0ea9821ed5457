"""The settings as rows for people: value without secrets, unit, origin, description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ingest.settings import Settings
from ingest.settings_sources import Section, env_name, setting_names

HIDDEN = "********"
UNITS = {
    "_s": "seconds",
    "_h": "hours",
    "_days": "days",
    "_bytes": "bytes",
    "_rows": "rows",
    "_messages": "messages",
    "_port": "port number",
    "replicas": "copies",
    "lanes.count": "lanes",
    "threads": "threads",
    ".share": "0 to 1",
}


@dataclass(frozen=True)
class SettingRow:
    """One setting. ``unit`` is empty where a value has none; secrets are hidden in all texts."""

    name: str
    variable: str
    value: str
    default: str
    unit: str
    origin: str
    description: str


def setting_rows(settings: Section, origins: Mapping[str, str]) -> list[SettingRow]:
    """Every setting in the order of the model; ``origins`` as `load_with_origins` gives them."""
    rows = []
    for name in setting_names(type(settings)):
        field = _field(type(settings), name)
        rows.append(
            SettingRow(
                name=name,
                variable=env_name(name),
                value=shown(_value(settings, name)),
                default=shown(field.get_default(call_default_factory=True)),
                unit=unit_of(name),
                origin=origins.get(name, "default"),
                description=field.description or "",
            )
        )
    return rows


def unit_of(name: str) -> str:
    """The unit that a setting's name ends with, "" for names and addresses."""
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def shown(value: object) -> str:
    """A value as text: secrets hidden, passwords taken out of URLs, none as an empty text."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return _addresses(secret) if "://" in secret else HIDDEN if secret else ""
    if value is None:
        return ""
    text = str(value)
    return _addresses(text) if "://" in text else text


def settings_markdown() -> str:
    """The reference page of all settings with their defaults."""
    lines = [
        "# Settings",
        "",
        "Written by `ingest settings --markdown`; do not edit.",
        "",
        "Read from the environment, `.env`, `.devstack/env` and `iot.toml`, the earlier wins.",
        "In `iot.toml` the part before the dot is a table (`[nats]`), the rest a key in it.",
        "`ingest settings` shows the values in force and where each came from.",
        "",
    ]
    return "\n".join([*lines, *markdown_rows(Settings())]) + "\n"


def markdown_rows(defaults: Section) -> list[str]:
    """Lines of the table of every setting of a model, with the defaults it was made with."""
    lines = ["| Setting | Variable | Default | Unit | Meaning |", "|---|---|---|---|---|"]
    for row in setting_rows(defaults, {}):
        default = f"`{row.default}`" if row.default else ""
        meaning = row.description.replace("|", "\\|")
        lines.append(f"| `{row.name}` | `{row.variable}` | {default} | {row.unit} | {meaning} |")
    return lines


def _field(root: type[Section], name: str) -> FieldInfo:
    section, _, inner = name.rpartition(".")
    model: type[Any] = root
    if section:
        annotation = root.model_fields[section].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, Section)
        model = annotation
    found: FieldInfo = model.model_fields[inner]
    return found


def _value(settings: Section, name: str) -> object:
    value: object = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _addresses(text: str) -> str:
    return ",".join(_without_password(address) for address in text.split(","))


def _without_password(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return HIDDEN
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return address
    name, colon, password = user.partition(":")
    # In a NATS URL a user without a password is a token.
    if not colon:
        name = HIDDEN
    hidden = f"{name}:{HIDDEN}" if password else f"{name}{colon}"
    return urlunsplit(parts._replace(netloc=f"{hidden}@{host}"))
