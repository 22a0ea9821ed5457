#!/bin/sh
# Rows of the restored database: CHECK_SQL gives one number that may not be 0, and every table
# is read whole. The verdict is left for the step that takes the cluster away.
set -u
verdict=1
rows=$(psql --no-psqlrc --tuples-only --no-align --command "$CHECK_SQL")
if [ "${rows:-0}" -gt 0 ]; then
  echo "$PGDATABASE: $rows rows ($CHECK_SQL)"
  if pg_dump --format=plain >/dev/null; then
    echo "$PGDATABASE: every table can be read"
    verdict=0
  else
    echo "$PGDATABASE: pg_dump failed, expected every table to be readable" >&2
  fi
else
  echo "$PGDATABASE: '${rows:-}' rows, expected more than 0 ($CHECK_SQL)" >&2
fi
echo "$verdict" > /result/verdict
