"""Writes the generated reference page of this side: ``python -m pipelines.reference [FOLDER]``."""

from __future__ import annotations

from pathlib import Path

import click

from ingest.settings_table import markdown_rows
from pipelines.settings import PipelineSettings

PAGE = "pipeline-settings.md"


def settings_markdown() -> str:
    """The page of all settings of the maintenance side with their defaults."""
    lines = [
        "# Settings of the maintenance side",
        "",
        "Written by `python -m pipelines.reference`; do not edit.",
        "",
        "Dagster reads them from the same places as [the settings of ingest](settings.md),",
        "which hold there too: addresses and credentials are said once.",
        "",
        *markdown_rows(PipelineSettings()),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default="docs")
def main(folder: Path) -> None:
    """Write the page into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(settings_markdown(), encoding="utf-8")
    click.echo(str(folder / PAGE))


if __name__ == "__main__":
    main()
