#!/opt/python/bin/python3
"""`clickhouse-server` of the stand-in: the engine with the users of compose/clickhouse/users.xml.

Names, passwords and who may only read are taken over; single grants are not, nor is server.xml.
"""

import json
import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

USERS = Path("/etc/clickhouse-server/users.d/iot.xml")
SETTINGS = Path("/etc/clickhouse-server/config.d/iot.xml")
FILE = Path("/tmp/users.json")

ET.parse(SETTINGS)
tree = ET.parse(USERS).getroot()
reading = {one.tag for one in tree.findall("profiles/*") if one.findtext("readonly", "0") != "0"}
users = {}
for user in tree.findall("users/*"):
    password = user.find("password")
    if password is None:
        continue
    entry: dict[str, object] = {
        "password": os.environ[password.attrib["from_env"]],
        "role": "writer",
    }
    if user.findtext("profile") in reading:
        entry["role"] = "reader"
    else:
        entry["databases"] = ["iot", "iot_*"]
    users[user.tag] = entry
FILE.write_text(json.dumps(users), encoding="utf-8")
command = [sys.executable, "-m", "devstack.clickhouse", "--host=0.0.0.0", "--memory-mib=1024"]
os.execv(sys.executable, [*command, "--path=/var/lib/clickhouse/embedded", f"--users-file={FILE}"])
