#!/bin/sh
# Upload a file: sh upload.sh song.mp3 audio/mpeg. BROKER is the address of the broker, TOKEN a user's token.
set -eu

FILE=$1 TYPE=$2
SIZE=$(($(wc -c < "$FILE")))
PART_FILE=$(mktemp)
trap 'rm -f "$PART_FILE"' EXIT

# Print one member of a JSON document, such as uploadId or parts.0.url.
member() {
  printf '%s' "$1" | python3 -c '
import json, sys
found = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    found = found[int(name) if name.isdigit() else name]
print(found)' "$2"
}

# Send a JSON document to the broker, and again after 429 and 503. Print the response; an error goes to standard error.
broker() {
  RESPONSE=$(curl -sS --fail-with-body --retry 5 "$BROKER/api/v1/$1" \
    -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d "$2") ||
    { printf '%s\n' "$RESPONSE" >&2 && exit 1; }
  printf '%s' "$RESPONSE"
}

# PUT a file to a URL of the store, with the header fields that follow. 412: the bytes are already there.
put() {
  URL=$1 BODY=$2
  shift 2
  STATUS=$(curl -sS --retry 5 -o /dev/null -w '%{http_code}' -X PUT --data-binary "@$BODY" "$@" "$URL")
  case $STATUS in
    200 | 412) ;;
    *) printf 'The store answered %s.\n' "$STATUS" >&2 && exit 1 ;;
  esac
}

DECLARED=$(python3 -c '
import json, os, sys
print(json.dumps({"filename": os.path.basename(sys.argv[1]), "contentType": sys.argv[2], "size": int(sys.argv[3])}))
' "$FILE" "$TYPE" "$SIZE")
UPLOAD=$(broker uploads "$DECLARED")
ID=$(member "$UPLOAD" uploadId)

if [ "$(member "$UPLOAD" method)" = PUT ]; then
  put "$(member "$UPLOAD" url)" "$FILE" \
    -H "Content-Type: $(member "$UPLOAD" headers.Content-Type)" -H 'If-None-Match: *'
else
  PART=$(member "$UPLOAD" partSize)
  for N in $(seq "$(member "$UPLOAD" partCount)"); do
    tail -c "+$(((N - 1) * PART + 1))" "$FILE" | head -c "$PART" > "$PART_FILE"
    SIGNED=$(broker "uploads/$ID/parts" "{\"partNumbers\": [$N]}")
    put "$(member "$SIGNED" parts.0.url)" "$PART_FILE" -H 'Content-Type:'
  done
fi

TRACK=$(broker "uploads/$ID/confirm" '{}')
while [ "$(member "$TRACK" status)" = promoting ]; do # a large object is still being copied
  sleep 1
  TRACK=$(broker "uploads/$ID/confirm" '{}')
done
printf '%s\n' "$TRACK"
