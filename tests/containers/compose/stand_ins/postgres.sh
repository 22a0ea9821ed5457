#!/bin/sh
# As the official image's: a new cluster for POSTGRES_USER, then the server with what is asked for.
set -eu
export PGDATA=/var/lib/postgresql/stand-in/docker

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA"
  printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 \
    --auth-local=trust --encoding=UTF8 >/dev/null
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # The server that prepares a new cluster listens on its socket only.
  pg_ctl start --wait --silent --options='-c listen_addresses=""'
  createdb --username="$POSTGRES_USER" "$POSTGRES_USER"
  pg_ctl stop --wait --silent
fi
exec postgres -c 'listen_addresses=*' "$@"
