"""The plan of a setup: what changes, what is kept, and what contradicts the broker."""

import json
from pathlib import Path
from typing import Any

import pytest

from broker.settings import Settings, parse
from broker.setup.change_plan import Kind, Plan, make_plan
from broker.setup.desired_rules import bucket_needs
from broker.setup.plan_text import plan_lines
from broker.store import bucket_rules
from broker.store.admin import Rule
from tests.settings.test_settings import GOOD
from tests.setup.rules_in_memory import MemoryRules

ORIGINS = ["https://app.example", "http://localhost:3000"]
BUCKET = GOOD["R2_BUCKET_NAME"]
TWO: dict[str, str] = {"R2_STAGING_BUCKET_NAME": "staging"}
FOREIGN_CORS: Rule = {"AllowedOrigins": ["https://other.example"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 60}
FOREIGN_ABORT: Rule = {
    "ID": "Default Multipart Abort Rule",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}
OURS = bucket_rules.lifecycle_rules("incoming/", 4)


def configured(**changes: str) -> Settings:
    """Return settings with two web origins and ``changes``."""
    return parse({**GOOD, "BROKER_CORS_ORIGINS": ",".join(ORIGINS), **changes})


def plan(cors: list[Any], lifecycle: list[Any], **changes: str) -> Plan:
    """Return the plan for one bucket with these rules."""
    settings = configured(**changes)
    assert settings.store
    stored = MemoryRules()
    stored.rules = {(BUCKET, Kind.CORS): cors, (BUCKET, Kind.LIFECYCLE): lifecycle}
    return make_plan(bucket_needs(settings, settings.store), stored.read)


def test_empty_bucket_needs_both() -> None:
    """A bucket without rules gets the CORS rule of all origins and both lifecycle rules."""
    cors, lifecycle = plan([], []).needed
    assert cors.after == cors.added == [bucket_rules.cors_rule(ORIGINS)]
    assert lifecycle.after == lifecycle.added == OURS
    assert (cors.removed, lifecycle.removed) == ([], [])


def test_nothing_to_change() -> None:
    """Rules that are there already, in any order and form of the store, need no change."""
    cors = dict(bucket_rules.cors_rule([*reversed(ORIGINS)]))
    cors["AllowedHeaders"] = [name.title() for name in bucket_rules.UPLOAD_HEADERS]
    staged, unfinished = map(dict, OURS)
    unfinished["Prefix"] = unfinished.pop("Filter")["Prefix"]  # type: ignore[index]  # a rule maps to any type
    found = plan([cors], [unfinished, staged])
    assert found.needed == []
    assert plan_lines(found, is_applied=False)[-1] == "Nothing to change."


def test_foreign_rules_are_kept() -> None:
    """Rules of others stay, behind the broker's own."""
    cors, lifecycle = plan([FOREIGN_CORS], [FOREIGN_ABORT]).needed
    assert cors.after == [bucket_rules.cors_rule(ORIGINS), FOREIGN_CORS]
    assert lifecycle.after == [*OURS, FOREIGN_ABORT]
    assert (cors.kept, lifecycle.kept) == (1, 1)
    assert FOREIGN_CORS not in cors.added


def test_own_rules_are_replaced() -> None:
    """A CORS rule of other origins and a lifecycle that is too short are the broker's, and replaced."""
    old = bucket_rules.cors_rule(["https://old.example"])
    cors, lifecycle = plan([old], bucket_rules.lifecycle_rules("incoming/", 3)).needed
    assert (cors.removed, len(cors.after)) == ([old], 1)
    assert [rule["ID"] for rule in lifecycle.removed] == [rule["ID"] for rule in OURS]
    assert lifecycle.after == OURS


@pytest.mark.parametrize("days", [4, 5, 30])
def test_longer_lifecycle_is_kept(days: int) -> None:
    """A lifecycle of the broker that keeps objects at least as long as needed stays."""
    cors = bucket_rules.cors_rule(ORIGINS)
    assert plan([cors], bucket_rules.lifecycle_rules("incoming/", days)).needed == []


@pytest.mark.parametrize(
    "changes",
    [
        {"Status": "Disabled"},
        {"Filter": {"Prefix": "other/"}},
        {"Expiration": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 9}},
        {"Expiration": {"Date": "2030-01-01"}},
    ],
)
def test_ineffective_own_rule_is_replaced(changes: dict[str, Any]) -> None:
    """A rule with the broker's ID that is disabled, or does something else, is replaced."""
    (change,) = plan([bucket_rules.cors_rule(ORIGINS)], [{**OURS[0], **changes}, OURS[1]]).needed
    assert change.after == OURS
    plan_lines(plan([], [{**OURS[0], **changes}]), is_applied=False)


def test_longer_upload_lifetime() -> None:
    """The lifecycle follows from ``UPLOAD_LIFETIME``."""
    (change,) = plan([bucket_rules.cors_rule(ORIGINS)], list(OURS), UPLOAD_LIFETIME="3d").needed
    assert change.after == bucket_rules.lifecycle_rules("incoming/", 6)


def test_two_buckets_have_their_own_rules() -> None:
    """Pages send to the bucket of staged objects only, and read from the other one only."""
    settings = configured(**TWO)
    assert settings.store
    staging, ready = bucket_needs(settings, settings.store)
    assert (staging.bucket, ready.bucket) == ("staging", BUCKET)
    assert [staging.cors[0]["AllowedMethods"], ready.cors[0]["AllowedMethods"]] == [["PUT"], ["GET", "HEAD"]]
    assert (staging.lifecycle, ready.lifecycle) == (OURS, OURS[1:])


def test_no_origins_no_cors_rule() -> None:
    """Without ``BROKER_CORS_ORIGINS`` the broker's CORS rule is removed, and a note says so."""
    found = plan([bucket_rules.cors_rule(ORIGINS), FOREIGN_CORS], list(OURS), BROKER_CORS_ORIGINS="")
    (change,) = found.needed
    assert change.after == [FOREIGN_CORS]
    assert "BROKER_CORS_ORIGINS is unset" in found.notes[0]


EARLY = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}


@pytest.mark.parametrize("prefix", ["", "in", "incoming/", "incoming/0"])
def test_early_removal_is_a_conflict(prefix: str) -> None:
    """A rule of others that removes staged objects or tombstones too early is a conflict."""
    found = plan([], [{**EARLY, "Filter": {"Prefix": prefix}}])
    assert "'tidy' removes staged objects after 1 days" in found.conflicts[0]
    assert plan_lines(found, is_applied=False)[-1].endswith("resolve the conflicts first.")


def test_early_abort_is_a_conflict() -> None:
    """A rule of others that aborts multipart uploads too early is a conflict."""
    rule = {**FOREIGN_ABORT, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    (conflict,) = plan([], [rule]).conflicts
    assert "aborts multipart uploads after 1 days" in conflict


@pytest.mark.parametrize(
    "rule",
    [{**EARLY, "Status": "Disabled"}, {**EARLY, "Filter": {"Prefix": "logs/"}}, {**EARLY, "Expiration": {"Days": 4}}],
)
def test_harmless_rule_is_no_conflict(rule: Rule) -> None:
    """A rule that is disabled, late, or about other keys is not a conflict."""
    assert plan([], [rule]).conflicts == []


@pytest.mark.parametrize("expiration", [{"Days": 365}, {"Date": "2030-01-01"}])
def test_removal_of_ready_objects_is_noted(expiration: Rule) -> None:
    """A rule of others that removes ready objects may be wanted, so it is a note."""
    found = plan([], [{**EARLY, "Filter": {"Prefix": "media/"}, "Expiration": expiration}])
    assert (found.conflicts, len(found.notes)) == ([], 1)


def test_conflicts_are_about_the_right_bucket() -> None:
    """With two buckets, a short rule matters where staged objects are, and a note where ready objects are."""
    settings = configured(**TWO)
    assert settings.store
    stored = MemoryRules(staging_lifecycle=[EARLY])
    stored.rules[BUCKET, Kind.LIFECYCLE] = [EARLY]
    found = make_plan(bucket_needs(settings, settings.store), stored.read)
    assert [text.partition(":")[0] for text in (*found.conflicts, *found.notes)] == ["staging", BUCKET]


def test_text_of_a_plan() -> None:
    """The text of a plan has a line for each bucket, change and rule, and says how to apply it."""
    found = plan([bucket_rules.cors_rule(["https://old.example"]), FOREIGN_CORS], [FOREIGN_ABORT])
    assert plan_lines(found, is_applied=False) == [
        f"bucket {BUCKET} (staged and ready objects)",
        "  CORS rules: change",
        "    - permit GET, PUT, HEAD from https://old.example",
        "    + permit GET, PUT, HEAD from https://app.example, http://localhost:3000",
        "    = 1 of others, kept",
        "  lifecycle rules: change",
        "    + remove-what-was-never-confirmed: incoming/, remove after 4 days",
        "    + abort-unfinished-multipart-uploads: all keys, abort multipart uploads after 4 days",
        "    = 1 of others, kept",
        "2 changes needed. To make them: broker setup --apply",
    ]
    assert plan_lines(found, is_applied=True)[-1] == "2 changes made and read back."


def test_text_of_two_buckets() -> None:
    """The changes of each bucket stand below its own line."""
    settings = configured(**TWO)
    assert settings.store
    lines = plan_lines(make_plan(bucket_needs(settings, settings.store), MemoryRules().read), is_applied=False)
    assert [number for number, line in enumerate(lines) if line.startswith("bucket ")] == [0, 6]
    assert lines[-1].startswith("4 changes needed.")


def test_one_change_is_singular() -> None:
    """The summary counts in correct English."""
    found = plan([bucket_rules.cors_rule(ORIGINS)], [])
    assert plan_lines(found, is_applied=True)[-1] == "1 change made and read back."


def test_files_of_deploy_are_satisfied() -> None:
    """Rules that were set from the files of deploy/ need no change, but for the origins."""
    file = Path(__file__).parents[2] / "deploy" / "lifecycle.json"
    ids = [rule["id"] for rule in json.loads(file.read_text(encoding="utf-8"))["rules"]]
    assert ids == [rule["ID"] for rule in OURS]
