"""Single checks, in situations that no store on this machine has."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from broker.crypto.presigner import Presigner
from broker.doctor.bucket_checks import (
    Access,
    clock_finding,
    diagnose_access,
    find_jurisdiction,
    other_endpoints,
)
from broker.doctor.configuration_checks import check_settings, faults_found
from broker.doctor.examination import InterruptedExaminationError, examine
from broker.doctor.findings import Status
from broker.doctor.lifecycle_checks import check_rules
from broker.doctor.probes import CONTENT, PROBE_UUID, abandoned, run_of
from broker.doctor.redis_checks import check_redis
from broker.doctor.subject import subject_of
from broker.doctor.wire import Wire
from broker.service.assembly import assemble
from broker.settings import SettingsError, parse
from broker.setup.desired_rules import bucket_needs
from broker.store.bucket_rules import lifecycle_rules
from broker.store.s3_responses import S3Response
from tests.auth.minting import P256, pem
from tests.doctor.deployments import HEALTHY, complaints, deployment, examined, names
from tests.doctor.faulty_store import KEY, NO_RESPONSE, FaultyStore, Object, Reply, serving
from tests.settings.test_settings import ACCOUNT, GOOD


def response(headers: Mapping[str, str], status: int = 200, body: bytes = b"<ListBucketResult/>") -> S3Response:
    """Return a response to ListObjectsV2 that was received at the epoch."""
    return S3Response("ListObjectsV2", status, headers, body, 0)


@pytest.mark.parametrize(
    ("date", "status"),
    [
        ("Thu, 01 Jan 1970 00:00:00 GMT", Status.OK),
        ("Thu, 01 Jan 1970 00:02:00 GMT", Status.FAILED),
        ("", Status.NOT_CHECKED),
    ],
)
def test_clock(date: str, status: Status) -> None:
    """The clock is compared with the Date of a response, if it has one."""
    assert clock_finding(response({"date": date})).status is status


def test_refusal_without_date() -> None:
    """A refusal without a Date is diagnosed by its code."""
    body = b"<Error><Code>InvalidAccessKeyId</Code></Error>"
    finding = diagnose_access(response({}, 403, body), "media", "R2_ACCESS_KEY_ID", "R2_BUCKET_NAME")
    assert finding.name == "access-key-unknown"


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ({"R2_ENDPOINT": "https://media.example", "R2_ACCOUNT_ID": ""}, "endpoint-unusual"),
        ({"R2_ENDPOINT": "http://store.example", "R2_ACCOUNT_ID": ""}, "endpoint-unusual"),
        ({"R2_PUBLIC_URL": "https://media.example"}, "public-bucket-staged"),
        ({"BROKER_SECRET": ""}, "secret-derived"),
        ({"JWT_SECRET": "a secret of sufficient length # and more"}, "setting-unusual"),
        ({}, "endpoint"),
        ({"UPLOAD_LIFETIME": "3d"}, "endpoint"),
    ],
)
def test_warnings_of_settings(setting: dict[str, str], name: str) -> None:
    """Each warning of the settings is a finding with a name, unless another check examines its subject."""
    found = check_settings(assemble(parse({**GOOD, **setting})).settings, has_admin_key=False)
    assert name in {finding.name for finding in found}
    warned = [finding for finding in found if finding.status is Status.WARNING]
    assert bool(warned) is (name != "endpoint")


@pytest.mark.parametrize(("jurisdiction", "region"), [("", "default"), ("eu", "eu")])
def test_jurisdiction_is_shown(jurisdiction: str, region: str) -> None:
    """The endpoint's finding names R2 and the jurisdiction."""
    (_, finding) = check_settings(parse({**GOOD, "R2_JURISDICTION": jurisdiction}), has_admin_key=False)
    assert finding.text == f"the endpoint is that of Cloudflare R2, jurisdiction {region}"


def test_admin_key_in_the_service() -> None:
    """An admin key in the environment of the service is a warning."""
    names_found = {finding.name for finding in check_settings(parse(GOOD), has_admin_key=True)}
    assert "admin-key" in names_found


@pytest.mark.parametrize(
    "settings",
    [
        {"R2_ENDPOINT": "https://pub-1.r2.dev", "R2_ACCOUNT_ID": ""},
        {"R2_ENDPOINT": f"https://{'f' * 32}.r2.cloudflarestorage.com"},
        {"R2_ENDPOINT": f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", "R2_JURISDICTION": "us"},
        {"R2_ENDPOINT": f"https://songs.{ACCOUNT}.r2.cloudflarestorage.com"},
        {"R2_SECRET_ACCESS_KEY": '"quoted"'},
        {"BROKER_CORS_ORIGINS": "https://app.example/"},
        {"JWT_SECRET": ""},
    ],
)
def test_contradictions_are_findings(settings: dict[str, str]) -> None:
    """Each setting that prevents the start is a failure with a link."""
    with pytest.raises(SettingsError) as refused:
        parse({**GOOD, **settings})
    (finding,) = faults_found(refused.value.faults)
    assert (finding.name, finding.status) == ("setting-wrong", Status.FAILED)
    assert finding.hint


def test_other_jurisdictions() -> None:
    """The other endpoints of an account are those of the other jurisdictions; another store has none."""
    endpoint = f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com"
    assert other_endpoints(endpoint) == [
        ("default", f"https://{ACCOUNT}.r2.cloudflarestorage.com"),
        ("fedramp", f"https://{ACCOUNT}.fedramp.r2.cloudflarestorage.com"),
        ("us", f"https://{ACCOUNT}.us.r2.cloudflarestorage.com"),
    ]
    assert other_endpoints("http://127.0.0.1:9000") == []


async def test_bucket_in_another_jurisdiction() -> None:
    """A bucket that the key can list at another jurisdiction's endpoint is named with the setting."""
    with serving(FaultyStore()) as there, serving(FaultyStore(overrides={"List": Reply(403)})) as elsewhere:
        endpoints = [("us", "http://127.0.0.1:1"), ("fedramp", elsewhere), ("eu", there)]
        access = Access(Wire(Presigner(KEY, elsewhere), time.time), "media", "KEY", "BUCKET", KEY)
        finding = await find_jurisdiction(access, endpoints)
        assert finding
        assert (finding.name, finding.remedy) == ("jurisdiction-wrong", "Set R2_JURISDICTION=eu.")
        assert await find_jurisdiction(access, endpoints[:2]) is None


async def test_jurisdiction_of_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examination of a denied bucket tries the other jurisdictions."""
    denied = FaultyStore(reach={KEY.access_key_id: frozenset()})
    with serving(denied) as endpoint, serving(FaultyStore()) as other:
        monkeypatch.setattr("broker.doctor.bucket_checks.other_endpoints", lambda _: [("eu", other)])
        assert "jurisdiction-wrong" in complaints(await examined(endpoint))


def probe(run: str, number: int) -> str:
    """Return the key of a probe."""
    return f"incoming/{PROBE_UUID}{run}{number:04x}.png"


def test_abandoned_runs() -> None:
    """Only runs whose probes did not change are abandoned, and never the own one."""
    before = [probe("aaaaaaaa", 1), probe("bbbbbbbb", 1), probe("cccccccc", 1)]
    after = [probe("aaaaaaaa", 1), probe("bbbbbbbb", 2), probe("dddddddd", 1), probe("eeeeeeee", 1)]
    assert abandoned([*before, probe("eeeeeeee", 1)], after, "eeeeeeee") == {"aaaaaaaa"}
    assert run_of(probe("aaaaaaaa", 1)) == "aaaaaaaa"


async def test_running_examination_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two examinations at the same time do not disturb each other, and both clean up."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    store = FaultyStore()
    with serving(store) as endpoint:
        reports = await asyncio.gather(examined(endpoint), examined(endpoint))
    assert [complaints(report) for report in reports] == [{}, {}]
    assert store.objects == {}


async def test_open_parts_are_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A multipart upload that an examination leaves open is aborted, and no other one."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    store = FaultyStore(overrides={"PUT part": Reply(400)})
    store.multiparts["other"] = (("media", "incoming/other.png"), {}, {})
    with serving(store) as endpoint:
        await examined(endpoint)
    assert list(store.multiparts) == ["other"]


async def test_unlisted_parts_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot list multipart uploads is not a complaint: its lifecycle removes them."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    with serving(FaultyStore(overrides={"Multiparts": Reply(501)})) as endpoint:
        assert complaints(await examined(endpoint)) == {}


async def test_store_stops_before_the_cleaning(monkeypatch: pytest.MonkeyPatch) -> None:
    """If probes cannot be listed, the report says where they may be."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    store = FaultyStore()
    plain = store._list

    def once(*arguments: object) -> Reply:
        store.overrides["List"] = NO_RESPONSE
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_list", once)
    with serving(store) as endpoint:
        found = complaints(await examined(endpoint))
    assert PROBE_UUID in found["remains"].text


async def test_listing_is_refused_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused list of probes is a warning too."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    store = FaultyStore()
    plain = store._list

    def once(*arguments: object) -> Reply:
        store.overrides["List"] = Reply(403)
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_list", once)
    with serving(store) as endpoint:
        assert "ListObjectsV2 returned 403" in complaints(await examined(endpoint))["remains"].text


async def test_public_url_on_r2_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public URL on r2.dev is a warning: it is limited in rate."""
    monkeypatch.setattr("broker.doctor.public_checks._get", lambda _, url: _content(url))
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    with serving(FaultyStore()) as endpoint:
        found = complaints(await examined(endpoint, R2_PUBLIC_URL="https://pub-1.r2.dev"))
    assert set(found) == {"public-bucket-staged", "public-url-r2-dev"}


async def _content(url: str) -> bytes | None:
    return None if "incoming/" in url else CONTENT


async def test_examination_without_a_store() -> None:
    """Without a store only configuration and tokens are examined."""
    unconfigured = assemble(parse({"JWT_SECRET": HEALTHY["JWT_SECRET"]}))
    assert subject_of(unconfigured) is None
    report = await examine(unconfigured, token=None, has_admin_key=False)
    assert names(report) == {"settings", "store-not-configured", "keys"}


async def test_public_key_is_named() -> None:
    """A deployment with a public key names the setting and its algorithms."""
    changes = {"JWT_SECRET": "", "JWT_PUBLIC_KEY": pem(P256), "R2_BUCKET_NAME": ""}
    report = await examine(deployment("http://127.0.0.1:1", **changes), token=None, has_admin_key=False)
    assert "tokens are verified by JWT_PUBLIC_KEY (ES256)" in [one.text for one in report.categories[1].findings]


def _wait_for_a_probe(store: FaultyStore) -> None:
    while not store.objects:
        time.sleep(0.001)


@pytest.mark.parametrize("finish_within", [5.0, 0.0], ids=["the check ends", "the check is cancelled"])
async def test_interruption_cleans_up(finish_within: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled examination removes its probes, and says so."""
    monkeypatch.setattr("broker.doctor.examination.FINISH_WITHIN", finish_within)
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    store = FaultyStore()
    with serving(store) as endpoint:
        examination = asyncio.create_task(examined(endpoint))
        await asyncio.to_thread(_wait_for_a_probe, store)
        examination.cancel()
        with pytest.raises(InterruptedExaminationError, match="all probes were removed"):
            await examination
    assert store.objects == {} or not finish_within  # a copy in flight may end later


async def test_remains_of_others_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes of an interrupted examination are removed, and uploads are not touched."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    upload = ("media", "incoming/d0c70000-0000-4000-9000-000000000000.png")
    store = FaultyStore(objects={("media", probe("aaaaaaaa", 1)): Object(b"", {}), upload: Object(b"1", {})})
    with serving(store) as endpoint:
        report = await examined(endpoint)
    assert "cleaning-earlier" in names(report)
    assert set(store.objects) == {upload}


@pytest.mark.parametrize("lifetime", ["10s", "1d", "25h", "3d", "7d"])
def test_setup_and_doctor_agree(lifetime: str) -> None:
    """The rules that ``setup`` writes satisfy ``doctor``, and rules that are a day shorter do not."""
    settings = parse({**GOOD, "UPLOAD_LIFETIME": lifetime, "UPLOAD_URL_LIFETIME": "10s"})
    assert settings.store
    (need,) = bucket_needs(settings, settings.store)
    days = settings.uploads.retention_days
    found = check_rules(need.lifecycle, need.bucket, days)
    assert [finding.status for finding in found] == [Status.OK, Status.OK]
    found = check_rules(lifecycle_rules("incoming/", days - 1), need.bucket, days)
    assert {finding.name for finding in found} == {"lifecycle-too-short", "lifecycle-abort-too-short"}


class Counts:
    """Counts in a Redis that responds."""

    errors = 0

    async def probe(self) -> str:
        return ""

    async def server(self) -> str:
        return "Redis 7.0.15"


async def test_redis_counts() -> None:
    """A Redis that counts in time is named with its version."""
    counts: Any = Counts()
    (finding,) = await check_redis(counts)
    assert (finding.status, finding.text) == (Status.OK, "Redis 7.0.15 counts for all processes")
