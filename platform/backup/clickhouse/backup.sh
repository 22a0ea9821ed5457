#!/bin/bash
# Asks the clickhouse-backup beside the server for one copy and waits for its verdict.
# CLICKHOUSE_HOST, CLICKHOUSE_USER and CLICKHOUSE_PASSWORD say where; exit 1 when it failed.
set -euo pipefail

name="daily-$(date -u +%Y%m%dT%H%M%SZ)"
command="create_remote --delete-source $name"

ask() {
  clickhouse-client --host "$CLICKHOUSE_HOST" --user "$CLICKHOUSE_USER" --query "$1"
}

ask "INSERT INTO system.backup_actions (command) VALUES ('$command')"
while :; do
  status=$(ask "SELECT status FROM system.backup_actions WHERE command = '$command'
                ORDER BY start DESC LIMIT 1 FORMAT TSVRaw")
  [ "$status" = "in progress" ] || break
  sleep 10
done
if [ "$status" != "success" ]; then
  echo "backup $name: status '$status', expected 'success'" >&2
  ask "SELECT error FROM system.backup_actions WHERE command = '$command' FORMAT TSVRaw" >&2
  exit 1
fi

# A command can be accepted and leave nothing behind: the target has the last word.
found=$(ask "SELECT count() FROM system.backup_list
             WHERE name = '$name' AND location = 'remote' FORMAT TSVRaw")
if [ "$found" != "1" ]; then
  echo "backup $name: the off-node target lists it $found times, expected once" >&2
  exit 1
fi
echo "backup $name is on the off-node target"
