#!/bin/bash
# Asks the clickhouse-backup beside the server to bring the newest copy back, over what is there.
# The writers must be stopped: rows that are newer than the copy come back by `ingest repair hot`.
set -euo pipefail

ask() {
  clickhouse-client --host "$CLICKHOUSE_HOST" --user "$CLICKHOUSE_USER" --query "$1"
}

name=$(ask "SELECT name FROM system.backup_list WHERE location = 'remote'
            ORDER BY created DESC LIMIT 1 FORMAT TSVRaw")
if [ -z "$name" ]; then
  echo "the off-node target lists no copy, expected one: see runbook/restore.md" >&2
  exit 1
fi
command="restore_remote --rm $name"
ask "INSERT INTO system.backup_actions (command) VALUES ('$command')"
while :; do
  status=$(ask "SELECT status FROM system.backup_actions WHERE command = '$command'
                ORDER BY start DESC LIMIT 1 FORMAT TSVRaw")
  [ "$status" = "in progress" ] || break
  sleep 10
done
if [ "$status" != "success" ]; then
  echo "restore of $name: status '$status', expected 'success'" >&2
  ask "SELECT error FROM system.backup_actions WHERE command = '$command' FORMAT TSVRaw" >&2
  exit 1
fi
echo "restored $name"
