"""What the broker could be made to sign or to confirm: a test for each row of the catalogue that needs no store.

What a store itself refuses of a signed URL stands in the contract suites, and in the end-to-end tests of the main job.
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
async def test_p01_p03_who_is_called_nearly_alike_is_another(subject: str) -> None:
    """Owners are compared whole; no key and no prefix is made of them."""
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


def test_p01_anothers_id_answers_exactly_as_an_unknown_one() -> None:
    created = post(client(), "/uploads", FILE).json()["uploadId"]
    other = client(bearer=token("user-2"))
    fixed = {"X-Request-Id": "the-same"}
    answers = {
        other.post(f"/api/v1/uploads/{name}/confirm", headers=fixed).content for name in (created, "x" * len(created))
    }
    assert len(answers) == 1


def test_p04_a_key_and_an_id_have_122_random_bits_at_least() -> None:
    made = [post(client(), "/uploads", FILE).json() for _ in range(20)]
    keys = [uuid.UUID(urlsplit(upload["url"]).path.rpartition("/")[2].removesuffix(".mp3")) for upload in made]
    assert {key.version for key in keys} == {4}
    assert len({*keys}) == len({upload["uploadId"] for upload in made}) == 20


def urls() -> Iterator[tuple[str, str]]:
    """Every kind of URL that is signed, with the method that it is good for."""
    app = client()
    upload = post(app, "/uploads", FILE).json()
    yield upload["method"], upload["url"]
    yield "GET", app.get(f"/api/v1/downloads/{KEY}").json()["url"]
    yield "GET", app.get(f"/api/v1/downloads/{KEY}?filename=a.mp3").json()["url"]
    yield "GET", post(app, "/downloads", {"keys": [KEY]}).json()["downloads"][0]["url"]


def test_p05_p06_p07_only_objects_below_our_prefixes_are_signed_to_put_and_to_get() -> None:
    for method, url in urls():
        place = urlsplit(url)
        assert f"{place.scheme}://{place.netloc}" == ENVIRONMENT["R2_ENDPOINT"]
        prefix = "incoming" if method == "PUT" else "media"
        assert place.path.startswith(f"/songs/{prefix}/")
        assert len(place.path.rpartition("/")[2]) >= 36


SIGNED = {
    "X-Amz-Algorithm", "X-Amz-Content-Sha256", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature",
    "X-Amz-SignedHeaders", "response-content-disposition", "response-content-type",
}  # fmt: skip  # a list to be read at once


def test_l13_p18_a_signed_url_says_no_more_than_it_must() -> None:
    """Account, bucket, key, access key id and what was agreed: neither the secret, nor the owner, nor the token."""
    for _, url in urls():
        query = parse_qs(urlsplit(url).query, strict_parsing=True)
        assert query.keys() <= SIGNED
        assert query["X-Amz-Credential"][0].startswith("AKEDGE/")
        for hidden in (ENVIRONMENT["R2_SECRET_ACCESS_KEY"], ENVIRONMENT["JWT_SECRET"], "user-1", "eyJ"):
            assert hidden not in url


def test_p13_size_type_and_write_once_are_signed() -> None:
    signed = parse_qs(urlsplit(post(client(), "/uploads", FILE).json()["url"]).query)["X-Amz-SignedHeaders"]
    assert signed == ["content-length;content-type;host;if-none-match"]


EXPIRIES: list[Any] = [0, -1, 3601, 604_801, 10**12, "60", 60.5, True, [], {}]


@pytest.mark.parametrize("value", EXPIRIES, ids=str)
def test_p09_an_expiry_that_cannot_be_is_refused(value: Any) -> None:
    refused(post(client(), "/downloads", {"keys": [KEY], "expiresIn": value}), "/expiresIn")


def test_p09_the_time_to_send_an_upload_is_not_the_clients_to_choose() -> None:
    refused(post(client(), "/uploads", {**FILE, "expiresIn": 604_800}), "/expiresIn")


def test_p10_whatever_is_asked_no_url_outlives_the_bounds_of_the_deployment() -> None:
    """A link may outlive the token it was asked for with: a signed URL is a capability of its own."""
    longest = post(client(), "/downloads", {"keys": [KEY], "expiresIn": 3600}).json()["downloads"][0]["url"]
    (expires,) = parse_qs(urlsplit(longest).query)["X-Amz-Expires"]
    assert 3600 <= int(expires) <= 3600 + 3600


PASSED_BY = ["versionId", "partNumber", "uploadId", "x-id", "X-Amz-Security-Token", "response-content-type"]


@pytest.mark.parametrize("name", PASSED_BY)
def test_p17_p18_no_parameter_is_passed_through(name: str) -> None:
    refused(client().get(f"/api/v1/downloads/{KEY}", params={name: "x"}), "/query")


@pytest.mark.parametrize("name", ['a"; x="', "é" * 200, "%22", "a;b", "a\\b", "x" * 255])
def test_p17_a_file_name_cannot_leave_its_place_in_the_header(name: str) -> None:
    url = client().get(f"/api/v1/downloads/{KEY}", params={"filename": name}).json()["url"]
    (header,) = parse_qs(urlsplit(url).query)["response-content-disposition"]
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') in (0, 2)


@pytest.mark.parametrize("name", ["a\r\nb", "x" * 300, "\x00"])
def test_p17_a_file_name_that_is_none_is_refused(name: str) -> None:
    refused(client().get(f"/api/v1/downloads/{KEY}", params={"filename": name}), "/filename")


@pytest.mark.parametrize("key", ["media/" + "x" * 1018 + ".mp3", "media/" + "x" * 1019 + ".mp3", "media/" + "é" * 600])
def test_p22_a_key_of_any_length_that_is_not_ours_is_refused(key: str) -> None:
    refused(post(client(), "/downloads", {"keys": [key]}), "/keys/0")


async def test_p20_a_thousand_confirms_at_once_are_one() -> None:
    deployment = Deployment()
    created = await deployment.create()
    deployment.put(created)
    outcomes = await asyncio.gather(*(deployment.confirm(created.upload_id) for _ in range(1000)))
    assert len({outcome.track.key for outcome in outcomes}) == 1
    assert deployment.store.calls["copy"] == 1
    assert deployment.store.calls["head"] <= 4


async def test_p21_a_refused_confirm_changes_nothing_and_a_good_one_may_be_repeated() -> None:
    """S19 too: who was too early asks again."""
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


async def test_p24_a_wrong_clock_makes_the_broker_unready_and_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "broker.access")
    said = error(403, "RequestTimeTooSkewed", {"Date": "Wed, 15 Jan 2025 08:00:00 GMT"})
    async with facing(says(said)) as (store, _):
        transport = httpx2.ASGITransport(create_app(assemble(settings.parse(ENVIRONMENT), store=store)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://broker.example") as app:
            answer = await app.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["store"]) == (503, "storage_unavailable")
    assert "our clock is +63072000 s off the store's" in caplog.text
