"""The rules in the forms of other tools."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from broker.settings import parse
from broker.setup.desired_rules import BucketNeeds, bucket_needs
from broker.setup.printed_rules import FORMATS, WARNING
from tests.settings.test_settings import GOOD

DEPLOY = Path(__file__).parents[2] / "deploy"
ACCOUNT = "0" * 32


def needs(**changes: str) -> list[BucketNeeds]:
    """Return the needs of a deployment with the origin of deploy/cors.json."""
    settings = parse({**GOOD, "R2_BUCKET_NAME": "songs", "BROKER_CORS_ORIGINS": "https://app.example", **changes})
    assert settings.store
    return bucket_needs(settings, settings.store)


def file_of_deploy(name: str) -> Any:
    """Return the rules of a file of deploy/."""
    return json.loads((DEPLOY / name).read_text(encoding="utf-8"))["rules"]


def test_json_has_the_rules_of_deploy() -> None:
    """The JSON has the rules of the files in deploy/, which wrangler reads."""
    document = json.loads(FORMATS["json"](needs(), ACCOUNT, ""))
    assert (document["account"], document["jurisdiction"]) == (ACCOUNT, "default")
    assert document["buckets"]["songs"]["lifecycle"]["rules"] == file_of_deploy("lifecycle.json")
    (found,), (expected,) = document["buckets"]["songs"]["cors"]["rules"], file_of_deploy("cors.json")
    assert found.pop("id")
    found["allowed"]["methods"].sort()
    assert found == expected


@pytest.mark.parametrize(("jurisdiction", "option"), [("", ""), ("eu", " -J eu")])
def test_wrangler_script_runs(tmp_path: Path, jurisdiction: str, option: str) -> None:
    """The script is valid for a shell; it writes each file, calls wrangler, and warns that all rules are replaced."""
    text = FORMATS["wrangler"](needs(R2_STAGING_BUCKET_NAME="songs-staging"), ACCOUNT, jurisdiction)
    assert WARNING in text
    calls = 'npx() { echo "$@" >> calls; }\n'
    subprocess.run(["sh", "-c", calls + text], cwd=tmp_path, check=True)
    lines = (tmp_path / "calls").read_text().splitlines()
    assert lines == [
        f"wrangler r2 bucket {kind} set {bucket} --file {bucket}.{kind}.json{option}"
        for bucket in ("songs-staging", "songs")
        for kind in ("cors", "lifecycle")
    ]
    written = json.loads((tmp_path / "songs-staging.lifecycle.json").read_text())
    assert written == {"rules": file_of_deploy("lifecycle.json")}
    assert f"#   npx wrangler r2 bucket cors list songs{option}\n" in text


def test_terraform_resources() -> None:
    """Each bucket has its resources, with the names of the provider."""
    text = FORMATS["terraform"](needs(), "", "eu")
    assert text.startswith(f"# {WARNING}")
    assert 'resource "cloudflare_r2_bucket_cors" "songs" {\n  account_id = "<account-id>"' in text
    assert (
        """\
resource "cloudflare_r2_bucket_lifecycle" "songs" {
  account_id = "<account-id>"
  bucket_name = "songs"
  jurisdiction = "eu"
  rules = [
    {
      id = "remove-what-was-never-confirmed"
      enabled = true
      conditions = {
        prefix = "incoming/"
      }
      delete_objects_transition = {
        condition = {
          type = "Age"
          max_age = 345600
        }
      }
    },
"""
        in text
    )
    assert 'origins = ["https://app.example"]' in text


@pytest.mark.parametrize(("bucket", "name"), [("a-b", "a_b"), ("1-b", "b_1_b")])
def test_terraform_names_are_identifiers(bucket: str, name: str) -> None:
    """The name of a resource begins with a letter and has no hyphen."""
    assert f'"{name}" {{' in FORMATS["terraform"](needs(R2_BUCKET_NAME=bucket), ACCOUNT, "")


def test_no_origins_no_cors() -> None:
    """Without origins only the lifecycle is printed."""
    assert "cors" not in json.loads(FORMATS["json"](needs(BROKER_CORS_ORIGINS=""), "", "us"))["buckets"]["songs"]
