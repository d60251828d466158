#!/bin/sh
# Makes the secrets that compose.yaml mounts, once: passwords that nobody has to know. Run it as the user who runs docker.
set -eu
folder=$(dirname "$0")/secrets
if [ -e "$folder" ]; then
  echo "$folder is there already: nothing done" >&2
  exit 1
fi

drawn() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

database=$(drawn)
broker=$(drawn)
# The folder keeps others on this machine out; the files inside can be read by the users of the containers.
mkdir -m 0700 "$folder"
umask 0022
printf '%s\n' "$database" >"$folder/postgres_password"
printf 'postgresql+psycopg://wnet:%s@database:5432/wnet\n' "$database" >"$folder/wnet_database_url"
printf 'requirepass %s\n' "$broker" >"$folder/valkey_conf"
printf 'redis://:%s@broker:6379/0\n' "$broker" >"$folder/wnet_broker_url"
chmod 0444 "$folder"/*
echo "secrets are in $folder"
