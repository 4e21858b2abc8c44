"""The sabotage table: each misconfiguration is diagnosed by its name, with a remedy and a link, and nothing else is."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from jwt.algorithms import get_default_algorithms

from broker.doctor.findings import Report, Status
from broker.store import dialect
from tests.auth.minting import P256
from tests.doctor.deployments import TWO_BUCKETS, complaints, examined, names
from tests.doctor.faulty_store import KEY, LIFECYCLE, NO_RESPONSE, STAGING_KEY, FaultyStore, Reply, serving
from tests.settings.test_settings import SECRET

SEPARATE = {
    KEY.access_key_id: frozenset({"media", "staging"}),
    STAGING_KEY.access_key_id: frozenset({"staging"}),
}
EVERY_KEY_OF_ONE_BUCKET = {KEY.access_key_id: frozenset({"media"})}
R2 = dialect.DIALECTS[0]
HOUR = 3600
UNREFUSED = {f"{name}-not-refused" for name in ("signature", "size", "type", "expiry")}

EC_KEY: dict[str, Any] = {
    **get_default_algorithms()["ES256"].to_jwk(P256.public_key(), as_dict=True),
    "kid": "k1",
    "alg": "ES256",
}


def jwks(*keys: Mapping[str, Any]) -> Reply:
    """Return a JWK Set."""
    return Reply(200, json.dumps({"keys": list(keys)}).encode())


def token(**claims: Any) -> str:
    """Return a token of the deployment's secret."""
    return jwt.encode({"sub": "u1", "exp": int(time.time()) + HOUR, **claims}, SECRET, "HS256")


def lifecycle(old: str, new: str) -> str:
    """Return the rules of a healthy bucket with a difference."""
    assert old in LIFECYCLE
    return LIFECYCLE.replace(old, new)


def expiry_in(days: float) -> str:
    """Return the field by which R2 shows when an object expires."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + days * 24 * HOUR))
    return f'expiry-date="{date}", rule-id="staged"'


@dataclass(frozen=True)
class Row:
    """One misconfiguration: the faults of the store, the settings, and the names of exactly what is reported.

    ``remedy`` is a part of a remedy. ``kind`` makes the store one of a known kind. ``{endpoint}`` in a setting is
    replaced.
    """

    store: dict[str, Any]
    settings: dict[str, str]
    expected: set[str]
    remedy: str
    token: str | None = None
    kind: dialect.Dialect = field(default=dialect.UNKNOWN)


ROWS: dict[str, Row] = {
    "no CORS": Row({"origins": ()}, {}, {"cors-missing"}, "broker setup --apply"),
    "wrong origin": Row({"origins": ("https://other.example",)}, {}, {"cors-missing"}, "rule for this origin"),
    "origin with a port": Row({"origins": ("https://app.example:443",)}, {}, {"cors-missing"}, "rule for this origin"),
    "wildcard origin": Row({"origins": ("*",)}, {}, {"cors-wildcard"}, "remove the rule with the origin *"),
    "CORS lacks header fields": Row({"cors_headers": "content-type"}, {}, {"cors-headers"}, "Name each of them"),
    "CORS lacks PUT": Row({"cors_methods": "GET,HEAD"}, {}, {"cors-method"}, "Add PUT"),
    "CORS lacks GET": Row({"cors_methods": "PUT"}, {}, {"cors-method"}, "Add GET"),
    "second origin is missing": Row(
        {}, {"BROKER_CORS_ORIGINS": "https://app.example,capacitor://localhost"}, {"cors-missing"}, "for this origin"
    ),
    "CORS of the ready bucket": Row(
        {"reach": SEPARATE, "cors_methods": "PUT"}, dict(TWO_BUCKETS), {"cors-method"}, "Add GET"
    ),
    "no lifecycle": Row(
        {"lifecycle": ""}, {}, {"lifecycle-missing", "lifecycle-abort-missing"}, "broker setup --apply"
    ),
    "lifecycle too short": Row(
        {"lifecycle": lifecycle("<Days>4<", "<Days>3<")}, {}, {"lifecycle-too-short"}, "broker setup --apply"
    ),
    "lifecycle too short for the upload lifetime": Row(
        {}, {"UPLOAD_LIFETIME": "3d"}, {"lifecycle-too-short"}, "broker setup --apply"
    ),
    "lifecycle disabled": Row(
        {"lifecycle": lifecycle("Enabled", "Disabled")},
        {},
        {"lifecycle-missing", "lifecycle-abort-missing"},
        "broker setup",
    ),
    "lifecycle of another prefix": Row(
        {"lifecycle": lifecycle("incoming/", "upload/")}, {}, {"lifecycle-missing"}, "broker setup --apply"
    ),
    "lifecycle of a part of the prefix": Row(
        {"lifecycle": lifecycle("incoming/", "incoming/a")}, {}, {"lifecycle-missing"}, "broker setup --apply"
    ),
    "lifecycle aborts too early": Row(
        {"lifecycle": lifecycle("7", "1")}, {}, {"lifecycle-abort-too-short"}, "broker setup --apply"
    ),
    "lifecycle removes ready objects": Row(
        {"lifecycle": lifecycle("incoming/", "")}, {}, {"lifecycle-ready"}, "Limit the rule to other keys"
    ),
    "lifecycle of two buckets": Row(
        {"reach": SEPARATE, "lifecycle": lifecycle("incoming/", "")},
        dict(TWO_BUCKETS),
        {"lifecycle-ready"},
        "Limit the rule",
    ),
    "unreadable lifecycle is too short": Row(
        {"denies": {"lifecycle"}, "expiration": expiry_in(1)}, {}, {"lifecycle-too-short"}, "broker setup --apply"
    ),
    "wrong secret": Row({}, {"R2_SECRET_ACCESS_KEY": "another"}, {"secret-wrong"}, "Copy R2_SECRET_ACCESS_KEY again"),
    "wrong staging secret": Row(
        {"reach": SEPARATE},
        {**TWO_BUCKETS, "R2_STAGING_SECRET_ACCESS_KEY": "another"},
        {"secret-wrong"},
        "Copy R2_STAGING_SECRET_ACCESS_KEY again",
    ),
    "other account": Row({}, {"R2_ACCESS_KEY_ID": "UNKNOWN"}, {"access-key-unknown"}, "of the account in R2_ENDPOINT"),
    "misspelt bucket, account key": Row({}, {"R2_BUCKET_NAME": "mediaa"}, {"bucket-missing"}, "R2_BUCKET_NAME"),
    "misspelt bucket, bucket key": Row(
        {"reach": EVERY_KEY_OF_ONE_BUCKET}, {"R2_BUCKET_NAME": "mediaa"}, {"bucket-denied"}, "misspelt bucket"
    ),
    "misspelt staging bucket": Row(
        {}, {"R2_STAGING_BUCKET_NAME": "stagingg"}, {"bucket-missing"}, "R2_STAGING_BUCKET_NAME"
    ),
    "key of another bucket": Row(
        {"reach": {KEY.access_key_id: frozenset({"staging"})}}, {}, {"bucket-denied"}, "the buckets of the API token"
    ),
    "read-only key": Row({"denies": {"write"}}, {}, {"token-read-only"}, "Object Read & Write"),
    "staging key reaches ready objects": Row(
        {"reach": {**SEPARATE, STAGING_KEY.access_key_id: frozenset({"media", "staging"})}},
        dict(TWO_BUCKETS),
        {"keys-not-separate"},
        "Limit the API token of R2_STAGING_ACCESS_KEY_ID",
    ),
    "clock ahead": Row({"skew": 2 * HOUR}, {}, {"clock-skewed"}, "Run NTP"),
    "clock behind": Row({"skew": -2 * HOUR}, {}, {"clock-skewed", "bucket-clock"}, "Run NTP"),
    "custom domain": Row(
        {"overrides": {"List": Reply(403, b"<html>")}},
        {},
        {"endpoint-not-s3"},
        "Set R2_ENDPOINT to https://<account-id>",
    ),
    "web server": Row({"overrides": {"List": Reply(200, b"<html></html>")}}, {}, {"endpoint-not-s3"}, "custom domains"),
    "other region": Row({"overrides": {"List": Reply(301)}}, {}, {"bucket-elsewhere"}, "own region"),
    "store is down": Row({"overrides": {"List": Reply(503)}}, {}, {"store-unavailable"}, "Repeat later"),
    "store closes connections": Row({"overrides": {"List": NO_RESPONSE}}, {}, {"store-unreachable"}, "R2_ENDPOINT"),
    "Redis is away": Row({}, {"BROKER_REDIS_URL": "redis://127.0.0.1:1/0"}, {"redis-away"}, "correct BROKER_REDIS_URL"),
    "derived secret": Row({}, {"BROKER_SECRET": ""}, {"secret-derived"}, "openssl rand -hex 32"),
    "public bucket of staged objects": Row(
        {"public": {"media/", "incoming/"}},
        {"R2_PUBLIC_URL": "{endpoint}/public"},
        {"public-bucket-staged", "staged-public"},
        "second, private bucket",
    ),
    "wrong public URL": Row(
        {"reach": SEPARATE},
        {**TWO_BUCKETS, "R2_PUBLIC_URL": "{endpoint}/elsewhere"},
        {"public-url-wrong"},
        "Connect the domain to the bucket",
    ),
    "public URL of no server": Row(
        {"reach": SEPARATE},
        {**TWO_BUCKETS, "R2_PUBLIC_URL": "http://127.0.0.1:1"},
        {"public-url-wrong"},
        "Connect the domain to the bucket",
    ),
    "JWKS 404": Row({}, {"JWT_JWKS_URL": "{endpoint}/absent/keys"}, {"keys-unavailable"}, "Set the address"),
    "JWKS is a page": Row(
        {"documents": {"/keys": Reply(200, b"<html>")}},
        {"JWT_JWKS_URL": "{endpoint}/keys"},
        {"keys-unavailable"},
        "Set the address",
    ),
    "JWKS without usable key": Row(
        {"documents": {"/keys": jwks({"kty": "oct", "kid": "a", "k": "c2VjcmV0"})}},
        {"JWT_JWKS_URL": "{endpoint}/keys"},
        {"key-skipped", "keys-unusable"},
        "Publish a key that signs tokens",
    ),
    "JWKS with a wrong key": Row(
        {"documents": {"/keys": jwks(EC_KEY, {**EC_KEY, "kid": "k2", "x": EC_KEY["x"][:-1]})}},
        {"JWT_JWKS_URL": "{endpoint}/keys"},
        {"key-skipped"},
        "Correct it at the identity service",
    ),
    "JWKS server is down": Row(
        {}, {"JWT_JWKS_URL": "http://127.0.0.1:1/keys"}, {"keys-unavailable"}, "Set the address"
    ),
    "expired token": Row({}, {}, {"token-refused"}, "row of this reason", token(exp=int(time.time()) - HOUR)),
    "token of another audience": Row({}, {"JWT_AUDIENCE": "us"}, {"token-refused"}, "row of this", token(aud="them")),
    "token of another secret": Row({}, {}, {"token-refused"}, "row of this reason", token() + "AA"),
    "store ignores checksums": Row(
        {"ignores": {"checksum"}}, {}, {"checksum-not-refused"}, "Do not rely on sha256 with this store"
    ),
    "R2 that ignores checksums": Row(
        {"ignores": {"checksum"}}, {}, {"checksum-not-refused"}, "Set SHA256_EVIDENCE=store", kind=R2
    ),
    "store returns no checksum": Row(
        {"ignores": {"attestation"}}, {}, {"attestation-missing"}, "Expect sha256: null in every receipt"
    ),
    "evidence of the store is demanded": Row(
        {"ignores": {"attestation"}}, {"SHA256_EVIDENCE": "store"}, {"attestation-missing"}, "Unset SHA256_EVIDENCE"
    ),
    "store ignores create-only": Row(
        {"ignores": {"create-only"}}, {}, {"second-write-not-refused", "tombstone-ignored"}, "If-None-Match: * of a PUT"
    ),
    "store ignores signatures": Row(
        {"ignores": {"signature"}},
        {},
        {*UNREFUSED, "copy-source-not-refused", "part-size-not-refused"},
        "Use a store that refuses it",
    ),
    "store ignores the expiry": Row({"ignores": {"expiry"}}, {}, {"expiry-not-refused"}, "Use a store that refuses it"),
    "store takes unsigned fields": Row(
        {"ignores": {"unsigned"}}, {}, {"copy-source-not-refused"}, "R2_STAGING_BUCKET_NAME, R2_STAGING_ACCESS_KEY_ID"
    ),
    "store ignores the source of a copy": Row(
        {"ignores": {"source-condition"}}, {}, {"copy-condition-ignored"}, "Use a store that refuses it"
    ),
    "R2 that replaces ready objects": Row(
        {"ignores": {"copy-create"}}, {}, {"copy-create-only-ignored"}, "Use a store that refuses it", kind=R2
    ),
    "store loses bytes": Row(
        {"ignores": {"last-byte"}},
        {},
        {"confirm-refused"},
        "Use a store that keeps what it is sent",
    ),
    "proxy changes downloads": Row(
        {"overrides": {"Download": Reply(200, b"page")}}, {}, {"download-other-bytes"}, "Check proxies"
    ),
    "downloads fail": Row({"overrides": {"Download": Reply(404)}}, {}, {"download-failed"}, "table of download links"),
    "store has no list of parts": Row(
        {"overrides": {"GET part": Reply(501)}}, {}, {"store-call-failed"}, "See the table of reasons"
    ),
    "store refuses parts": Row({"overrides": {"PUT part": Reply(400)}}, {}, {"part-failed"}, "responses to the PUT"),
    "bucket lock": Row(
        {"overrides": {"DELETE": Reply(403, b"<Error><Code>ObjectLockedByBucketPolicy</Code></Error>")}},
        {},
        {"bucket-locked", "remains"},
        "Remove the lock",
    ),
    "copies are forbidden": Row(
        {"overrides": {"Copy": Reply(403, b"<Error><Code>AccessDenied</Code></Error>")}},
        {},
        {"token-read-only", "store-call-failed"},
        "Object Read & Write",
    ),
    "deletions are forbidden": Row(
        {"overrides": {"DELETE": Reply(403)}}, {}, {"token-read-only", "remains"}, "Run the command again"
    ),
    "no store": Row({}, {"R2_BUCKET_NAME": ""}, {"store-not-configured"}, "Set R2_BUCKET_NAME"),
}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let neither deletions nor retries wait."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    monkeypatch.setattr("broker.store.transport._RETRY_PAUSE", (0, 0))


def without_key_of(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings with one family of keys."""
    return {**settings, "JWT_SECRET": ""} if "JWT_JWKS_URL" in settings else dict(settings)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_misconfiguration_is_diagnosed(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row has exactly the complaints of its names, each with a remedy and a link, and the buckets are clean."""
    monkeypatch.setattr("broker.doctor.subject.dialect_of", lambda _: row.kind)
    store = FaultyStore(**row.store)
    with serving(store) as endpoint:
        settings = {name: value.replace("{endpoint}", endpoint) for name, value in row.settings.items()}
        report = await examined(endpoint, token=row.token, **without_key_of(settings))
    found = complaints(report)
    assert set(found) == row.expected, [finding.text for finding in found.values()]
    assert any(row.remedy in finding.remedy for finding in found.values())
    assert all(finding.remedy and finding.hint for finding in found.values())
    if "remains" not in row.expected:
        assert (store.objects, store.multiparts) == ({}, {})


def test_table_is_large() -> None:
    """The table has at least 25 misconfigurations with different names."""
    assert len(ROWS) >= 25
    assert len(set().union(*(row.expected for row in ROWS.values()))) >= 25


HARMLESS: dict[str, tuple[dict[str, Any], dict[str, str], set[str]]] = {
    "no origins": ({"origins": ()}, {"BROKER_CORS_ORIGINS": ""}, {"cors"}),
    "every origin is wanted": ({"origins": ("*",)}, {"BROKER_CORS_ORIGINS": "*"}, {"cors"}),
    "unreadable lifecycle": ({"denies": {"lifecycle"}}, {}, {"lifecycle"}),
    "unreadable lifecycle of two buckets": (
        {"denies": {"lifecycle"}, "reach": SEPARATE},
        dict(TWO_BUCKETS),
        {"lifecycle"},
    ),
    "expiry date": ({"denies": {"lifecycle"}, "expiration": expiry_in(4)}, {}, {"lifecycle"}),
    "public bucket": (
        {"reach": SEPARATE},
        {**TWO_BUCKETS, "R2_PUBLIC_URL": "{endpoint}/public"},
        {"public-url", "keys-separate"},
    ),
    "store without R2's copy condition": ({"ignores": {"copy-create"}}, {}, {"copy-create-only"}),
    "unsigned fields in a separate bucket": (
        {"ignores": {"unsigned"}, "reach": SEPARATE},
        dict(TWO_BUCKETS),
        {"copy-source", "metadata"},
    ),
    "key for encryption": (
        {"documents": {"/keys": jwks(EC_KEY, {**EC_KEY, "kid": "k2", "use": "enc"})}},
        {"JWT_JWKS_URL": "{endpoint}/keys"},
        {"keys", "key-not-for-signatures"},
    ),
}


@pytest.mark.parametrize(("store", "settings", "expected"), HARMLESS.values(), ids=HARMLESS)
async def test_harmless_difference(store: dict[str, Any], settings: dict[str, str], expected: set[str]) -> None:
    """What works as intended is not a complaint, also if it could not be checked."""
    with serving(FaultyStore(**store)) as endpoint:
        changed = {name: value.replace("{endpoint}", endpoint) for name, value in settings.items()}
        report = await examined(endpoint, **without_key_of(changed))
    assert complaints(report) == {}
    assert expected <= names(report)


async def test_r2_without_returned_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """At R2 the upload is the evidence, so a checksum that is not returned is not a complaint."""
    monkeypatch.setattr("broker.doctor.subject.dialect_of", lambda _: R2)
    with serving(FaultyStore(ignores={"attestation"})) as endpoint:
        assert complaints(await examined(endpoint)) == {}


@pytest.mark.parametrize("claims", [{}, {"scope": "broker:service"}], ids=["user", "service"])
@pytest.mark.parametrize("prefix", ["", "Bearer "])
async def test_valid_token(claims: dict[str, str], prefix: str) -> None:
    """A valid token is accepted, with its kind and its subject."""
    with serving(FaultyStore()) as endpoint:
        report = await examined(endpoint, token=prefix + token(**claims))
    (finding,) = [one for one in report.categories[1].findings if one.name == "token"]
    assert ("service" in finding.text, "subject u1" in finding.text) == (bool(claims), True)


LATER: dict[str, tuple[str, Callable[[Report], bool]]] = {
    "PUT": ("PUT", lambda report: "store-unreachable" in complaints(report)),
    "preflight": ("Preflight", lambda report: report.status is Status.OK),
    "lifecycle": ("Lifecycle", lambda report: report.status is Status.OK),
}


@pytest.mark.parametrize(("operation", "holds"), LATER.values(), ids=LATER)
async def test_store_fails_later(operation: str, holds: Callable[[Report], bool]) -> None:
    """A store that stops to respond in between is reported, or its check is not made; nothing is raised."""
    with serving(FaultyStore(overrides={operation: NO_RESPONSE})) as endpoint:
        report = await examined(endpoint)
    assert holds(report)


async def test_throttled_refusal_proves_nothing() -> None:
    """A 429 in place of a refusal means that the check was not made."""
    with serving(FaultyStore(overrides={"PUT": Reply(429)})) as endpoint:
        report = await examined(endpoint)
    (finding,) = [one for category in report.categories for one in category.findings if one.name == "size"]
    assert finding.status is Status.NOT_CHECKED
