"""Listings of objects: requests and responses of ListObjectsV2."""

from urllib.parse import parse_qs

import pytest

from broker.core.model import ListedObject
from broker.store.port import ObjectPage

from .calls import NOW, OBJECTS, VERBS, facing, unavailable
from .wire import answer, says

LAST = OBJECTS.replace(b"true", b"false")


async def test_next_page_is_requested() -> None:
    """The token of a page names the next one, and the last page has none."""
    async with facing(says(answer(200, body=OBJECTS)), says(answer(200, body=LAST))) as (store, server):
        first = await store.list_objects("bucket-canary", "media/")
        last = await store.list_objects("bucket-canary", "media/", page=first.following)
        queries = [parse_qs(request.split(" ")[1].partition("?")[2]) for request in server.requests]
    assert (first.following, last.following) == ("a token", None)
    assert [query.get("continuation-token") for query in queries] == [None, ["a token"]]
    assert {tuple(query["prefix"] + query["list-type"]) for query in queries} == {("media/", "2")}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(LAST[:-5], id="cut"),
        pytest.param(b"", id="empty"),
        pytest.param(b"<Error><Code>InternalError</Code></Error>", id="an error after the 200"),
        pytest.param(LAST.replace(b"ListBucketResult", b"html"), id="another document"),
        pytest.param(LAST.replace(b"media/a&amp;b", b""), id="no key"),
        pytest.param(LAST.replace(b">5<", b">-5<"), id="negative size"),
        pytest.param(LAST.replace(b"<Size>5</Size>", b""), id="no size"),
        pytest.param(LAST.replace(b"2027-01-15T08:00:00.250Z", b"yesterday"), id="no date"),
        pytest.param(LAST.replace(b"2027-01-15T08:00:00.250Z", b"0001-01-01T00:00:00Z"), id="a zero date"),
        pytest.param(LAST.replace(b"a&amp;b", b"a&#1;b"), id="a character that XML cannot carry"),
        pytest.param(OBJECTS.replace(b"a token", b""), id="no token"),
    ],
)
async def test_listing_needs_its_document(body: bytes) -> None:
    """A 200 to ListObjectsV2 without its valid document is an error."""
    async with facing(says(answer(200, body=body))) as (store, _):
        await unavailable(store, VERBS["list_objects"])


async def test_repeated_token_is_an_error() -> None:
    """A page that names itself as the next one is an error, not an endless listing."""
    verb = VERBS["list_objects"]._replace(call=lambda store: store.list_objects("bucket-canary", "m", page="a token"))
    async with facing(says(answer(200, body=OBJECTS))) as (store, _):
        assert "no token of the next page" in await unavailable(store, verb)


async def test_missing_truncation_ends_the_listing() -> None:
    """A page without IsTruncated is the last one."""
    body = b"<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Contents><Key>k</Key><Size>0</Size>"
    body += b"<LastModified>2027-01-15T08:00:00Z</LastModified></Contents></ListBucketResult>"
    async with facing(says(answer(200, body=body))) as (store, _):
        assert await store.list_objects("bucket-canary", "") == ObjectPage([ListedObject("k", 0, NOW)], None)
