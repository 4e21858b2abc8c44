"""Misuse of presigning and of confirms: a test for each row of the catalogue that needs no store.

Misuse of a presigned URL that the store itself refuses is tested by the contract suites and the end-to-end tests.
"""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from broker import settings
from broker.core.model import Principal
from broker.errors import BrokerError, NotFoundError, NotUploadedError
from broker.service.assembly import assemble
from broker.web.app import create_app
from tests.service.deployment import MP3, SERVICE, USER, Deployment
from tests.store.calls import facing
from tests.store.wire import error, says
from tests.web.application import ENVIRONMENT, KEY, client, token
from tests.web.refusals import FILE, post, refused

ALIKE = ["user-10", "user-", "user", "USER-1", "user-1-x", "user-1/../user-2", "user-1 ", "\uff55ser-1"]


@pytest.mark.parametrize("subject", ALIKE)
async def test_p01_p03_similar_subject_is_another_owner(subject: str) -> None:
    """A subject that is similar to the owner's cannot confirm, abort or delete."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    key = (await deployment.confirm(created.upload_id)).track.key
    other = Principal(subject)
    uploads, objects = deployment.services.uploads, deployment.services.objects
    for act, name in ((uploads.confirm, created.upload_id), (uploads.abort, created.upload_id), (objects.delete, key)):
        with pytest.raises(NotFoundError):
            await act(other, name)
    assert (await objects.get(USER, key)).owner == "user-1"


def test_p01_foreign_id_responds_like_unknown() -> None:
    """The response for another user's upload id equals the response for an unknown one."""
    created = post(client(), "/uploads", FILE).json()["uploadId"]
    other = client(bearer=token("user-2"))
    fixed = {"X-Request-Id": "the-same"}
    responses = {
        other.post(f"/api/v1/uploads/{name}/confirm", headers=fixed).content for name in (created, "x" * len(created))
    }
    assert len(responses) == 1


def test_p04_keys_and_ids_are_random() -> None:
    """Keys are UUIDs of version 4 with 122 random bits, and no key or upload id repeats."""
    made = [post(client(), "/uploads", FILE).json() for _ in range(20)]
    keys = [uuid.UUID(urlsplit(upload["url"]).path.rpartition("/")[2].removesuffix(".mp3")) for upload in made]
    assert {key.version for key in keys} == {4}
    assert len({*keys}) == len({upload["uploadId"] for upload in made}) == 20


def urls() -> Iterator[tuple[str, str]]:
    """Yield a presigned URL of each kind with its method."""
    app = client()
    upload = post(app, "/uploads", FILE).json()
    yield upload["method"], upload["url"]
    yield "GET", app.get(f"/api/v1/downloads/{KEY}").json()["url"]
    yield "GET", app.get(f"/api/v1/downloads/{KEY}?filename=a.mp3").json()["url"]
    yield "GET", post(app, "/downloads", {"keys": [KEY]}).json()["downloads"][0]["url"]


def test_p05_p06_p07_urls_stay_below_the_prefixes() -> None:
    """Every PUT URL is below the staging prefix, and every GET URL below the ready prefix."""
    for method, url in urls():
        place = urlsplit(url)
        assert f"{place.scheme}://{place.netloc}" == ENVIRONMENT["R2_ENDPOINT"]
        prefix = "incoming" if method == "PUT" else "media"
        assert place.path.startswith(f"/songs/{prefix}/")
        assert len(place.path.rpartition("/")[2]) >= 36


SIGNED = {
    "X-Amz-Algorithm", "X-Amz-Content-Sha256", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature",
    "X-Amz-SignedHeaders", "response-content-disposition", "response-content-type",
}  # fmt: skip  # one list on few lines


def test_l13_p18_url_has_no_secret_or_owner() -> None:
    """A presigned URL has only the known parameters, and neither a secret nor the owner nor a token."""
    for _, url in urls():
        query = parse_qs(urlsplit(url).query, strict_parsing=True)
        assert query.keys() <= SIGNED
        assert query["X-Amz-Credential"][0].startswith("AKEDGE/")
        for hidden in (ENVIRONMENT["R2_SECRET_ACCESS_KEY"], ENVIRONMENT["JWT_SECRET"], "user-1", "eyJ"):
            assert hidden not in url


def test_p13_size_type_and_write_once_are_signed() -> None:
    """The upload URL signs size, type and the condition to write once."""
    signed = parse_qs(urlsplit(post(client(), "/uploads", FILE).json()["url"]).query)["X-Amz-SignedHeaders"]
    assert signed == ["content-length;content-type;host;if-none-match"]


EXPIRIES: list[Any] = [0, -1, 3601, 604_801, 10**12, "60", 60.5, True, [], {}]


@pytest.mark.parametrize("value", EXPIRIES, ids=str)
def test_p09_invalid_expiry_is_refused(value: Any) -> None:
    """An expiry out of range or of another type is refused."""
    refused(post(client(), "/downloads", {"keys": [KEY], "expiresIn": value}), "/expiresIn")


def test_p09_upload_has_no_expiry_field() -> None:
    """A client cannot choose the lifetime of an upload URL."""
    refused(post(client(), "/uploads", {**FILE, "expiresIn": 604_800}), "/expiresIn")


def test_p10_url_lifetime_is_bounded() -> None:
    """No URL is valid longer than the lifetime and window of the deployment."""
    longest = post(client(), "/downloads", {"keys": [KEY], "expiresIn": 3600}).json()["downloads"][0]["url"]
    (expires,) = parse_qs(urlsplit(longest).query)["X-Amz-Expires"]
    assert 3600 <= int(expires) <= 3600 + 3600


PASSED_BY = ["versionId", "partNumber", "uploadId", "x-id", "X-Amz-Security-Token", "response-content-type"]


@pytest.mark.parametrize("name", PASSED_BY)
def test_p17_p18_parameters_are_not_passed_through(name: str) -> None:
    """No parameter of the store passes from a request into a URL."""
    refused(client().get(f"/api/v1/downloads/{KEY}", params={name: "x"}), "/query")


@pytest.mark.parametrize("name", ['a"; x="', "é" * 200, "%22", "a;b", "a\\b", "x" * 255])
def test_p17_filename_stays_in_its_header_parameter(name: str) -> None:
    """A hostile file name stays within its quoted parameter of Content-Disposition."""
    url = client().get(f"/api/v1/downloads/{KEY}", params={"filename": name}).json()["url"]
    (header,) = parse_qs(urlsplit(url).query)["response-content-disposition"]
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') in (0, 2)


@pytest.mark.parametrize("name", ["a\r\nb", "x" * 300, "\x00"])
def test_p17_invalid_filename_is_refused(name: str) -> None:
    """A file name with control characters or too many characters is refused."""
    refused(client().get(f"/api/v1/downloads/{KEY}", params={"filename": name}), "/filename")


@pytest.mark.parametrize("key", ["media/" + "x" * 1018 + ".mp3", "media/" + "x" * 1019 + ".mp3", "media/" + "é" * 600])
def test_p22_foreign_key_of_any_length_is_refused(key: str) -> None:
    """A key that the broker did not make is refused, whatever its length."""
    refused(post(client(), "/downloads", {"keys": [key]}), "/keys/0")


async def test_p20_thousand_concurrent_confirms_copy_once() -> None:
    """A thousand concurrent confirms copy the object once and return one key."""
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    outcomes = await asyncio.gather(*(deployment.confirm(created.upload_id) for _ in range(1000)))
    assert len({outcome.track.key for outcome in outcomes}) == 1
    assert deployment.store.calls["copy"] == 1
    assert deployment.store.calls["head"] <= 4


async def test_p21_refused_confirm_changes_nothing() -> None:
    """A refused confirm changes nothing, and a successful one can be repeated (S19)."""
    deployment = Deployment()
    created = await deployment.create()
    with pytest.raises(NotUploadedError):
        await deployment.confirm(created.upload_id)
    deployment.put(created, MP3 + b"x")
    with pytest.raises(BrokerError):
        await deployment.confirm(created.upload_id)
    deployment.put(created)
    first = await deployment.confirm(created.upload_id)
    assert await deployment.confirm(created.upload_id) == first
    assert await deployment.confirm(created.upload_id, SERVICE) == first


async def test_p24_clock_skew_makes_the_broker_unready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A clock far off the store's makes the broker unready, and the log has the difference."""
    caplog.set_level("INFO", "broker.access")
    said = error(403, "RequestTimeTooSkewed", {"Date": "Wed, 15 Jan 2025 08:00:00 GMT"})
    async with facing(says(said)) as (store, _):
        transport = httpx2.ASGITransport(create_app(assemble(settings.parse(ENVIRONMENT), store=store)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://broker.example") as app:
            response = await app.get("/readyz")
    assert (response.status_code, response.json()["checks"]["store"]) == (503, "storage_unavailable")
    assert "our clock is +63072000 s off the store's" in caplog.text
