"""Checks of Schemathesis against the running service with a real store.

Schemathesis gets the API description with closed response schemas, so that every member of a response must be
described, and with an existing upload and an existing object as examples.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from broker.core.limits import PUT_MAX
from broker.core.media import MEDIA_TYPES
from tests.web.test_openapi import DOCUMENT, FILENAME, PARAMETERS, closed, operations, resolved

from .processes import Broker, token
from .steps import confirm, mp3, uploaded

EXAMPLES = "5"
"""Generated requests of each operation, beside those of the coverage phase. ``make fuzz`` sends 300 of each."""

# Checks are enabled unless disabled here. Options of the command line would override this file.
CONFIG = """
[checks]
# The contract has 413 (too_large) for a file over the limit.
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 411, 413, 415, 422]

[[operations]]
include-path = "/api/v1/uploads/{uploadId}"
# An upload id is sealed, not stored: it stays valid after an abort, with the status "deleted".
checks.use_after_free.enabled = false
# A valid request may meet a confirmed upload: 409 (upload_confirmed).
checks.positive_data_acceptance.expected-statuses = ["2xx", 404, 409]

[[operations]]
include-path = "/api/v1/uploads"
# The Idempotency-Key may belong to a deleted upload: 410.
checks.positive_data_acceptance.expected-statuses = ["2xx", 410]

[[operations]]
include-path = "/api/v1/uploads/batch"
checks.positive_data_acceptance.expected-statuses = ["2xx", 410]

[[operations]]
include-path = "/api/v1/uploads/{uploadId}/confirm"
# The stored bytes may not match their type: 422 (content_mismatch). The upload may be aborted: 410.
checks.positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 410, 422]

[[operations]]
include-path = "/api/v1/uploads/{uploadId}/parts"
# The upload may not have the requested parts.
checks.positive_data_acceptance.expected-statuses = ["2xx", 404, 410, 422]

[[operations]]
include-path = "/api/v1/downloads"
# The maximum length of a key is in bytes, and some invisible characters are refused: 422.
checks.positive_data_acceptance.expected-statuses = ["2xx", 422]

[[operations]]
include-path = "/api/v1/objects/delete"
# Only a service may call it: 403. SeaweedFS refuses names of more than 255 bytes, where R2 takes keys of 1024: 503.
checks.positive_data_acceptance.expected-statuses = ["2xx", 403, 422, 503]
checks.not_a_server_error.enabled = false

[[operations]]
include-path-regex = "^/api/v1/uploads/media"
# A form without the bytes and the name of a media file breaks rules that a schema cannot state.
checks.positive_data_acceptance.enabled = false
"""

_NO_CHECKSUM = {"sha256": {"type": "null"}, "md5": {"type": "null"}}

CHECKSUM_OR_PARTS = [
    {
        "if": {"required": ["multipart"], "properties": {"multipart": {"const": True}}},
        "then": {"properties": _NO_CHECKSUM},
    },
    {
        "if": {"properties": {"size": {"minimum": PUT_MAX + 1}}},
        "then": {"properties": {**_NO_CHECKSUM, "multipart": {"enum": [True, None]}}},
    },
]
"""The rules for checksums, parts and sizes."""

HOOKS = '''
import requests
import schemathesis


def whole(value):
    """Replace 1.0 by 1: JSON Schema calls both integers, and the broker refuses 1.0 as a size."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


@schemathesis.hook
def map_body(context, body):
    return whole(body)


@schemathesis.hook
def after_call(context, case, response):
    """Send the bytes of a new upload, as a client does between create and confirm; they begin as an MP3 or FLAC may."""
    if response.status_code == 201:
        made = response.json()
        for upload in made.get("uploads", [made]):
            if upload.get("method") == "PUT" and upload["size"] < 2_000_000:
                content = (b"\\xff\\xf3\\x14\\xc4".ljust(24, b"_") * upload["size"])[: upload["size"]]
                requests.put(upload["url"], content, headers=upload["headers"], timeout=60)
'''


def description(examples: dict[str, str]) -> str:
    """Return the API description with closed responses, and with ``examples`` in place of its own.

    Rules that the description states in prose, for the sake of code generators, are schemas here. So all valid creates
    must succeed. Without the response ``default``, each status must be described.
    """
    document = json.loads(json.dumps(DOCUMENT))
    for path, method, operation in operations():
        described = {status: each for status, each in operation["responses"].items() if status != "default"}
        responses = {status: dict(resolved(response)) for status, response in described.items()}
        for response in responses.values():
            kinds = response.get("content", {}).items()
            response["content"] = {kind: {"schema": closed(content["schema"])} for kind, content in kinds}
        document["paths"][path][method.lower()]["responses"] = responses
    schemas = document["components"]["schemas"]
    schemas["DeclaredType"] = {"enum": [media.name for media in MEDIA_TYPES]}
    schemas["Filename"]["pattern"] = FILENAME
    schemas["NewUpload"]["allOf"] = CHECKSUM_OR_PARTS
    text = json.dumps(document)
    for old, new in examples.items():
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(("subject", "scope"), [("user-1", ""), ("backend", "broker:service")])
def test_no_check_fails(tmp_path: Path, broker: Broker, subject: str, scope: str) -> None:
    """No check of Schemathesis fails for any operation, with the tokens of a user and of a service."""
    with broker.client(subject, scope=scope) as client:
        upload = uploaded(client, mp3())
        key = confirm(client, upload).json()["key"]
    real = {PARAMETERS["UploadId"]["example"]: upload["uploadId"], PARAMETERS["ObjectKey"]["example"]: key}
    for name, text in {
        "openapi.json": description(real),
        "schemathesis.toml": CONFIG,
        "hooks.py": HOOKS,
    }.items():
        (tmp_path / name).write_text(text)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", "schemathesis.toml", "run", "openapi.json", "--url", broker.url, "--no-color"),
        *("--exclude-tag", "uppy"),  # these routes have the rules of their clients, which are stated in prose
        *("--phases", "examples,coverage,fuzzing,stateful", "--suppress-health-check", "all"),
        *("--max-examples", EXAMPLES, "--seed", "1", "-H", f"Authorization: Bearer {token(subject, scope=scope)}"),
    ]
    environment = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    tested = [path for path, _method, operation in operations() if "uppy" not in operation["tags"]]
    assert f"Tested: {len(tested)}\n" in done.stdout
