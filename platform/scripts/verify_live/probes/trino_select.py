# ruff: noqa: INP001, T201, S310 - a program that verify runs in a pod; it opens our own server
"""Selects from one catalog of Trino, as the client that the maintenance is: `... CATALOG`."""

import json
import os
import ssl
import sys
import time
from base64 import b64encode
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

QUERIES = {
    "tpch": "SELECT count(*) FROM tpch.tiny.nation",
    "tpcds": "SELECT count(*) FROM tpcds.tiny.store",
}
server = urlsplit(os.environ["IOT_TRINO__URL"])
tls = ssl.create_default_context(cafile=os.environ.get("IOT_TRINO__CA_FILE") or None)
user, password = unquote(server.username or "verify"), unquote(server.password or "")
headers = {
    "X-Trino-User": user,
    "Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode(),
}
name = sys.argv[1]
query = QUERIES.get(name, f"SELECT count(*) FROM {name}.information_schema.schemata")
url, body, rows = f"{server.scheme}://{server.hostname}:{server.port}/v1/statement", query, []
request = Request(url, data=body.encode(), headers=headers)
end = time.monotonic() + 120
while True:
    with urlopen(request, timeout=60, context=tls) as answer:
        page = json.load(answer)
    if "error" in page:
        raise SystemExit(f"{query}: {page['error']['message']}")
    rows += page.get("data", [])
    if "nextUri" not in page:
        break
    if time.monotonic() > end:
        raise SystemExit(f"{query}: no result in 120 s")
    request = Request(page["nextUri"], headers=headers)
print(f"{query}: {rows[0][0]}")
