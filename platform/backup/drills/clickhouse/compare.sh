#!/bin/bash
# Rows and contents of the restored tables against the live ones, over the time that both hold.
# The last ten minutes before the copy are left out: rows of then may have been under way.
set -euo pipefail
restored() { CLICKHOUSE_PASSWORD='' clickhouse-client --host 127.0.0.1 --query "$1"; }
live() { clickhouse-client --host "$LIVE_HOST" --user "$LIVE_USER" --max_execution_time 0 --query "$1"; }

tables=$(restored "SELECT name FROM system.tables
                   WHERE database = 'iot' AND engine LIKE '%MergeTree' ORDER BY name")
if [ -z "$tables" ]; then
  echo "the restored server has no table in database iot, expected at least readings" >&2
  exit 1
fi
failed=0
for table in $tables; do
  until=$(restored "SELECT toUnixTimestamp64Micro(max(_stored_at)) - 600000000 FROM iot.$table")
  from=$(live "SELECT toUnixTimestamp64Micro(min(_stored_at)) FROM iot.$table")
  query="SELECT count(), groupBitXor(cityHash64(*))
         FROM iot.$table
         WHERE toUnixTimestamp64Micro(_stored_at) BETWEEN $from AND $until"
  ours=$(restored "$query")
  theirs=$(live "$query")
  rows=${ours%%[[:space:]]*}
  if [ "$ours" != "$theirs" ] || [ "$rows" = 0 ]; then
    echo "iot.$table: restored '$ours', live '$theirs' (rows, fingerprint), expected the same" >&2
    failed=1
  else
    echo "iot.$table: $rows rows, equal to the live ones"
  fi
done
exit "$failed"
