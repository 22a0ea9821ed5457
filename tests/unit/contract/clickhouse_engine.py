"""Runs statements in ClickHouse's embedded engine; a process of its own, for one data folder.

Reads a JSON list of steps from standard input: {"sql": ...} runs a statement, {"ask": ...} adds
the rows of a query to the list of answers that is printed as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

from chdb import session


def main() -> None:
    """Run the steps from standard input."""
    steps = json.load(sys.stdin)
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        open_session: Any = session.Session
        engine = open_session(folder)
        for step in steps:
            if "sql" in step:
                engine.query(step["sql"])
            else:
                result = engine.query(step["ask"], "JSONCompactEachRow")
                lines = result.bytes().decode().splitlines()
                answers.append([json.loads(line) for line in lines])
        engine.close()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
