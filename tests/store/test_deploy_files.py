"""The bucket rules in the files of deploy/ equal those of the code."""

import json
from pathlib import Path
from typing import Any

import pytest

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec
from broker.core.object_keys import STAGING_PREFIX
from broker.core.upload_rules import DAY, IDEMPOTENCY_PERIOD, UploadPolicy
from broker.service.uploads import upload_headers
from broker.store import bucket_rules

DEPLOY = Path(__file__).parents[2] / "deploy"


def rules(name: str) -> list[dict[str, Any]]:
    """Return the rules of a file in wrangler's format."""
    return list(json.loads((DEPLOY / name).read_text(encoding="utf-8"))["rules"])


def test_the_cors_file_equals_the_code() -> None:
    """The CORS file has the rule of the code."""
    (rule,), expected = rules("cors.json"), bucket_rules.cors_rule(["https://app.example"])
    assert rule["allowed"]["origins"] == expected["AllowedOrigins"]
    assert set(rule["allowed"]["methods"]) == set(expected["AllowedMethods"])
    assert rule["allowed"]["headers"] == expected["AllowedHeaders"]
    assert rule["exposeHeaders"] == expected["ExposeHeaders"]


def test_the_upload_headers_are_complete() -> None:
    """UPLOAD_HEADERS has exactly the headers that an upload may sign."""
    signed = upload_headers(FileSpec("a", MEDIA_TYPE_BY_NAME["audio/mpeg"], 1, sha256=b"s" * 32, md5=b"m" * 16))
    assert {name.lower() for name in signed} == set(bucket_rules.UPLOAD_HEADERS)


def test_the_lifecycle_file_equals_the_code() -> None:
    """The lifecycle file has the rules of the code: staged objects under a prefix, multipart uploads everywhere."""
    staged, unfinished = rules("lifecycle.json")
    kept = UploadPolicy().retention_days * DAY
    assert staged["conditions"]["prefix"] == STAGING_PREFIX
    assert staged["deleteObjectsTransition"]["condition"]["maxAge"] == kept
    assert unfinished["conditions"]["prefix"] == ""
    assert unfinished["abortMultipartUploadsTransition"]["condition"]["maxAge"] == kept


@pytest.mark.parametrize("lifetime", [1, DAY - 1, DAY, DAY + 1, 3 * DAY, 7 * DAY])
def test_a_tombstone_outlives_its_upload_ids(lifetime: int) -> None:
    """Staged objects are kept longer than an upload, the period of an idempotency key and a day of the store."""
    kept = UploadPolicy(lifetime=lifetime).retention_days * DAY
    assert lifetime + IDEMPOTENCY_PERIOD + DAY < kept <= lifetime + IDEMPOTENCY_PERIOD + 3 * DAY


def test_example_settings_and_lifecycle_file_agree() -> None:
    """The example settings name the days of the lifecycle file."""
    example = (DEPLOY.parent / ".env.example").read_text(encoding="utf-8")
    assert f"{UploadPolicy().retention_days} days for 1d, as in deploy/lifecycle.json" in example
