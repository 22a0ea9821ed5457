#!/bin/sh
# Every stream of the copy into the empty server of this pod, and what it says it holds then.
set -eu
nats account restore /work/backup
mkdir -p /work/restored
for folder in /work/backup/*/; do
  name=$(basename "$folder")
  nats stream info "$name" --json > "/work/restored/$name.json"
done
