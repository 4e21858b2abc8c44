#!/bin/sh
# Make the secrets of compose.yaml, unless they exist. The folder is closed to other users of the machine; the files are
# readable, because a container runs as a user that the machine does not have.
set -eu
mkdir -p "$(dirname "$0")/secrets"
cd "$(dirname "$0")/secrets"
chmod 700 .
for name in store-secret broker-secret jwt-secret; do
	test -s "$name" || openssl rand -hex 32 > "$name"
done
test -s store-keys || cat > store-keys <<KEYS
{"identities": [{"name": "broker", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "broker", "secretKey": "$(cat store-secret)"}]}]}
KEYS
chmod 644 ./*
