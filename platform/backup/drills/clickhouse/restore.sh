#!/bin/bash
# The newest copy of the off-node target into the empty server of this pod.
set -euo pipefail
name=$(clickhouse-backup list remote latest)
if [ -z "$name" ]; then
  echo "the off-node target holds no backup, expected one: does backup-clickhouse run?" >&2
  exit 1
fi
echo "restoring $name"
clickhouse-backup restore_remote --rm "$name"
