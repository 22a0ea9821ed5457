"""The dashboards of the repository, as the tests of this and other folders read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.platform.gate.promql import metrics

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "platform/observability/dashboards"
TIME_SERIES, TABLE = 0, 1
"""``format`` of the SQL data sources."""

Tree = dict[str, Any]


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    name: str
    data: Tree

    @property
    def panels(self) -> list[Tree]:
        """Its panels."""
        found: list[Tree] = self.data["panels"]
        return found

    @property
    def variables(self) -> list[Tree]:
        """Its variables."""
        found: list[Tree] = self.data.get("templating", {}).get("list", [])
        return found


@dataclass(frozen=True)
class Question:
    """One query of a panel, or that of a variable."""

    board: str
    where: str
    source: str
    text: str
    shape: int
    panel: str

    def __str__(self) -> str:
        return f"{self.board}: {self.where}"


def boards() -> list[Board]:
    """Every dashboard, by name."""
    return [
        Board(path.stem, json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.json"))
    ]


def questions(source: str) -> list[Question]:
    """Every query to the data source of this uid."""
    return [
        question for board in boards() for question in _asked(board) if question.source == source
    ]


def metric_names(prefix: str = "", board: str = "") -> set[str]:
    """Metrics that panels of Prometheus read, of one dashboard or all, with this prefix."""
    return {
        name
        for one in questions("prometheus")
        if one.panel != "variable" and board in ("", one.board)
        for name in metrics(one.text)
        if name.startswith(prefix)
    }


def _asked(board: Board) -> Iterator[Question]:
    for variable in board.variables:
        if variable["type"] == "query":
            uid = variable["datasource"]["uid"]
            where = f"variable {variable['name']}"
            yield Question(board.name, where, uid, variable["query"], TABLE, "variable")
    for panel in board.panels:
        for target in panel["targets"]:
            source = target.get("datasource") or panel["datasource"]
            texts = [target[key] for key in ("expr", "rawSql", "rawSQL") if key in target]
            for text in texts:
                where = f"{panel['title']} {target['refId']}"
                shape = target.get("format")
                shape = shape if isinstance(shape, int) else TABLE
                yield Question(board.name, where, source["uid"], text, shape, panel["type"])
