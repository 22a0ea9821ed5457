"""Where settings come from: environment, files and defaults, for any model of sections."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, ValidationError

from ingest.errors import SettingsError
from ingest.settings_errors import first_problem, unknown_name

PREFIX = "IOT_"
DELIMITER = "__"
ENV_FILES = (".env", ".devstack/env")
TOML_FILE = "iot.toml"


class Section(BaseModel):
    """One group of settings; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Section)


def setting_names(model: type[Section]) -> list[str]:
    """Every setting as a dotted name (``nats.url``), in the order of the model."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        section = field.annotation
        inner = (
            section.model_fields
            if isinstance(section, type) and issubclass(section, Section)
            else None
        )
        names += [f"{name}.{one}" for one in inner] if inner else [name]
    return names


def env_name(name: str) -> str:
    """Environment variable of a dotted setting name."""
    return PREFIX + name.replace(".", DELIMITER).upper()


def load(
    model: type[Model], root: Path, overrides: Mapping[str, str], *, foreign: Collection[str]
) -> tuple[Model, dict[str, str]]:
    """The model filled for folder ``root``, and the source of each name that is not a default.

    ``overrides`` are dotted names with ``__`` for the dot and win over everything. Sections (and
    top-level names) in ``foreign`` belong to another model and are passed over; any other unknown
    name raises SettingsError, as does a value that does not fit.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    names = setting_names(model)
    for origin, found in _sources(root, overrides, names, foreign):
        for name, value in found.items():
            values[name] = value
            origins[name] = origin
    try:
        return model.model_validate(_nested(values)), origins
    except ValidationError as error:
        raise SettingsError(first_problem(error, origins, env_name)) from error


def _sources(
    root: Path, overrides: Mapping[str, str], names: Collection[str], foreign: Collection[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Sources from the weakest to the strongest, each as {dotted name: value}."""
    found: list[tuple[str, dict[str, Any]]] = []
    toml_file = root / TOML_FILE
    if toml_file.is_file():
        found.append((TOML_FILE, _read_toml(toml_file, names, foreign)))
    variables: dict[str, Mapping[str, str | None]] = {
        name: dotenv_values(root / name) for name in reversed(ENV_FILES) if (root / name).is_file()
    }
    variables["environment"] = os.environ
    for origin, given in variables.items():
        found.append((origin, _from_environment(given, origin, names, foreign)))
    found.append(("command line", {k.replace(DELIMITER, "."): v for k, v in overrides.items()}))
    return found


def _from_environment(
    variables: Mapping[str, str | None],
    origin: str,
    names: Collection[str],
    foreign: Collection[str],
) -> dict[str, Any]:
    known = {env_name(name): name for name in names}
    found: dict[str, Any] = {}
    for variable, value in variables.items():
        if not variable.startswith(PREFIX) or value is None:
            continue
        if variable.removeprefix(PREFIX).partition(DELIMITER)[0].lower() in foreign:
            continue
        if variable not in known:
            raise SettingsError(unknown_name(variable, origin, known))
        found[known[variable]] = value
    return found


def _read_toml(path: Path, names: Collection[str], foreign: Collection[str]) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    found: dict[str, Any] = {}
    for key, value in tables.items():
        if key in foreign:
            continue
        entries = (
            {f"{key}.{inner}": v for inner, v in value.items()}
            if isinstance(value, dict)
            else {key: value}
        )
        for name, setting in entries.items():
            if name not in names:
                raise SettingsError(unknown_name(name, str(path), names))
            found[name] = setting
    return found


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        section, _, inner = name.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[inner] = value
    return tree
