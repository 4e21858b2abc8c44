"""The bucket rules that are shipped as files say what the code's own rules say."""

import json
from pathlib import Path
from typing import Any

import pytest

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec
from broker.core.object_keys import STAGING_PREFIX
from broker.core.upload_rules import DAY, IDEMPOTENCY_PERIOD, UploadPolicy
from broker.service.uploads import upload_headers
from broker.store import admin

DEPLOY = Path(__file__).parents[2] / "deploy"


def rules(name: str) -> list[dict[str, Any]]:
    """The rules of a file in the form that wrangler takes."""
    return list(json.loads((DEPLOY / name).read_text(encoding="utf-8"))["rules"])


def test_the_cors_file_allows_what_the_demo_allows() -> None:
    (rule,), expected = rules("cors.json"), admin.cors_rule(["https://app.example"])
    assert rule["allowed"]["origins"] == expected["AllowedOrigins"]
    assert set(rule["allowed"]["methods"]) == set(expected["AllowedMethods"])
    assert rule["allowed"]["headers"] == expected["AllowedHeaders"]
    assert rule["exposeHeaders"] == expected["ExposeHeaders"]


def test_browsers_may_send_every_header_that_an_upload_may_sign() -> None:
    signed = upload_headers(FileSpec("a", MEDIA_TYPE_BY_NAME["audio/mpeg"], 1, sha256=b"s" * 32, md5=b"m" * 16))
    assert {name.lower() for name in signed} == set(admin.UPLOAD_HEADERS)


def test_the_lifecycle_file_is_that_of_the_code() -> None:
    """Promotions that nobody finished are parts too, and stand where objects are ready."""
    staged, unfinished = rules("lifecycle.json")
    kept = UploadPolicy().retention_days * DAY
    assert staged["conditions"]["prefix"] == STAGING_PREFIX
    assert staged["deleteObjectsTransition"]["condition"]["maxAge"] == kept
    assert unfinished["conditions"]["prefix"] == ""
    assert unfinished["abortMultipartUploadsTransition"]["condition"]["maxAge"] == kept


@pytest.mark.parametrize("lifetime", [1, DAY - 1, DAY, DAY + 1, 3 * DAY, 7 * DAY])
def test_a_tombstone_outlives_every_upload_id_with_its_key(lifetime: int) -> None:
    """Longer than the lifetime of an upload, the period of an idempotency key and a day for the store."""
    kept = UploadPolicy(lifetime=lifetime).retention_days * DAY
    assert lifetime + IDEMPOTENCY_PERIOD + DAY < kept <= lifetime + IDEMPOTENCY_PERIOD + 3 * DAY


def test_the_example_settings_state_the_days_of_the_lifecycle_file() -> None:
    """Who copies both gets both right."""
    example = (DEPLOY.parent / ".env.example").read_text(encoding="utf-8")
    assert f"{UploadPolicy().retention_days} days for 1d, as in deploy/lifecycle.json" in example
