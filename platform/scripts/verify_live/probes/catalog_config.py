# ruff: noqa: INP001, T201 - a program that verify runs in a pod; it opens our own server
"""Asks the catalog for its configuration and for the table that the lake is."""

import os

from pyiceberg.catalog import load_catalog

catalog = load_catalog(
    "verify",
    **{
        "type": "rest",
        "uri": os.environ["IOT_CATALOG__URI"],
        "warehouse": os.environ["IOT_CATALOG__WAREHOUSE"],
        "s3.endpoint": os.environ["IOT_S3__ENDPOINT"],
        "s3.access-key-id": os.environ["IOT_S3__ACCESS_KEY"],
        "s3.secret-access-key": os.environ["IOT_S3__SECRET_KEY"],
    },
)
table = catalog.load_table(("iot", "readings"))
snapshot = table.current_snapshot()
print(f"iot.readings, snapshot {snapshot.snapshot_id if snapshot else 'none yet'}")
