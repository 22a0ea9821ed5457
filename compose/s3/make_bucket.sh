#!/bin/sh
# The lake's bucket with its versions, and the one user that all but the server's own go by.
# Every step may be done again.
set -eu
mc=$(command -v mcli || command -v mc)

"$mc" alias set lake http://s3:9000 "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" >/dev/null
"$mc" mb --ignore-existing lake/iceberg
"$mc" version enable lake/iceberg
"$mc" admin policy create lake lake /scripts/lake.json
"$mc" admin user add lake lake "$LAKE_SECRET_KEY"
"$mc" admin user info lake lake | grep -q '^PolicyName: lake$' ||
  "$mc" admin policy attach lake lake --user lake
