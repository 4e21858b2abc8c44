"""Responses with missing or invalid content: they are errors, never a value."""

import asyncio
import itertools
import random
import time
from urllib.parse import parse_qs

import pytest

from broker.core.model import CopiedObject, OpenMultipart, Part, StoredObject
from broker.errors import StorageUnavailableError
from tests.patience import PATIENCE

from .calls import (
    COMPLETED,
    COPIED,
    COPIED_PART,
    CREATED,
    DATE,
    DELETED,
    NOW,
    OBJECT,
    OPEN,
    REF,
    TIMEOUTS,
    VERBS,
    check_discreet,
    facing,
    listed,
    unavailable,
)
from .wire import answer, endless, error, keeps, says, silence, silence_then


def without(name: str) -> dict[str, str]:
    """Return the headers of a good HeadObject without one."""
    return {header: value for header, value in {**OBJECT, "Content-Length": "11"}.items() if header != name}


def but(name: str, value: str) -> bytes:
    """Return the response to a good HeadObject with one other header."""
    return answer(200, {**OBJECT, "Content-Length": "11", name: value})


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b'HTTP/1.1 200 OK\r\nETag: "abc"\r\n\r\n', id="no Content-Length nor Last-Modified"),
        pytest.param(answer(200, {**OBJECT, "Content-Length": ""}), id="empty Content-Length"),
        pytest.param(but("Content-Length", "-5"), id="negative Content-Length"),
        pytest.param(but("Content-Length", "abc"), id="Content-Length of letters"),
        pytest.param(but("Content-Length", "1_1"), id="Content-Length with an underscore"),
        pytest.param(but("Content-Length", "1" * 30), id="Content-Length of 30 digits"),
        pytest.param(answer(200, without("ETag")), id="no ETag"),
        pytest.param(but("ETag", "abc"), id="unquoted ETag"),
        pytest.param(but("ETag", '""'), id="empty ETag"),
        pytest.param(but("ETag", 'W/"abc"'), id="S14 weak ETag"),
        pytest.param(answer(200, without("Last-Modified")), id="no Last-Modified"),
        pytest.param(but("Last-Modified", "yesterday"), id="bad Last-Modified"),
        pytest.param(but("Last-Modified", "Fri, 15 Jan 2027 08:00:00 +0100"), id="Last-Modified in another zone"),
        pytest.param(answer(206, {**OBJECT, "Content-Length": "11"}), id="206"),
        pytest.param(answer(204, OBJECT), id="204"),
        pytest.param(answer(304, OBJECT), id="304"),
        pytest.param(
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "abc"\r\nLast-Modified: %b\r\n\r\n'
            % DATE.encode(),
            id="chunked",
        ),
    ],
)
async def test_s08_a_senseless_head_is_an_error(said: bytes) -> None:
    """A response to HeadObject with missing or invalid header fields is an error."""
    async with facing(says(said)) as (store, _):
        await unavailable(store, VERBS["head"])


DATED = {"Last-Modified": DATE}


def range_of(headers: dict[str, str], content_range: str, body: bytes = b"ID3\x04") -> bytes:
    """Return a response to a request for the first four bytes."""
    return answer(206, {**headers, "Content-Range": content_range}, body)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(range_of(DATED, "bytes 0-3/11"), id="no ETag"),
        pytest.param(range_of({**DATED, "ETag": 'W/"abc"'}, "bytes 0-3/11"), id="S14 weak ETag of a range"),
        pytest.param(range_of({"ETag": '"abc"'}, "bytes 0-3/11"), id="no Last-Modified"),
        pytest.param(answer(206, OBJECT, b"ID3\x04"), id="no Content-Range"),
        pytest.param(range_of(OBJECT, "bytes 7-10/11"), id="another range"),
        pytest.param(range_of(OBJECT, "bytes 0-3/*"), id="a range of who knows what"),
        pytest.param(range_of(OBJECT, "bytes 0-3"), id="a range of nothing"),
        pytest.param(range_of(OBJECT, "bytes */11"), id="no range"),
        pytest.param(range_of(OBJECT, "items 0-3/11"), id="a range of other units"),
        pytest.param(range_of(OBJECT, "bytes 0-3/-11"), id="a range of a negative size"),
        pytest.param(range_of(OBJECT, "bytes 0-3/1_1"), id="a size with an underscore"),
        pytest.param(range_of(OBJECT, "bytes 0-3/" + "1" * 20), id="a size of 20 digits"),
        pytest.param(range_of(OBJECT, "bytes 0-3/11, bytes 0-3/12"), id="two ranges"),
        pytest.param(range_of(OBJECT, "bytes 0-3/3"), id="a size smaller than what came"),
        pytest.param(range_of(OBJECT, "bytes 0-3/0"), id="a size of nothing, and bytes"),
        pytest.param(range_of(OBJECT, "bytes 0-9/11"), id="fewer bytes than the range has"),
        pytest.param(range_of(OBJECT, "bytes 0-1/11"), id="more bytes than the range has"),
        pytest.param(range_of(OBJECT, "bytes 0-1/11", b"ID"), id="a smaller range than was asked for"),
        pytest.param(range_of(OBJECT, "bytes 0-0/0", b""), id="a range, and nothing in it"),
        pytest.param(answer(200, OBJECT)[:-2].replace(b"Length: 0", b"Size: 0") + b"\r\nID3\x04", id="200, no length"),
        pytest.param(answer(204, OBJECT), id="204"),
        pytest.param(answer(200, {**DATED, "ETag": 'W/"abc"'}, b"ID3\x04"), id="S14 weak ETag"),
    ],
)
async def test_s08_a_senseless_range_is_an_error(said: bytes) -> None:
    """A response to a ranged GetObject with missing or invalid header fields is an error."""
    async with facing(says(said)) as (store, _):
        await unavailable(store, VERBS["first_bytes"])


async def test_s08_a_whole_object_is_cut() -> None:
    """If a store sends the whole object instead of a range, the rest is not read and the connection is closed."""
    head = answer(200, {**OBJECT, "Content-Length": str(10**12)})
    async with facing(endless(head, b"ID3\x04" * 4096)) as (store, server):
        found = await VERBS["first_bytes"].call(store)
        assert found == (StoredObject(10**12, "audio/mpeg", "abc", NOW, {}), b"ID3\x04")
        deadline = time.monotonic() + PATIENCE
        while server.open:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


MORE = {**OBJECT, "Content-Range": "bytes 5-8/11"}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(answer(200, OBJECT, b"more"), id="the whole object"),
        pytest.param(answer(206, OBJECT, b"more"), id="no Content-Range"),
        pytest.param(answer(206, {**MORE, "Content-Range": "bytes 0-3/11"}, b"more"), id="another range"),
        pytest.param(answer(206, {**MORE, "Content-Range": "bytes 5-7/11"}, b"mor"), id="a smaller range"),
        pytest.param(answer(206, {**MORE, "Content-Range": "bytes 5-8/8"}, b"more"), id="a range beyond the size"),
        pytest.param(answer(206, MORE, b"mor"), id="fewer bytes than the range has"),
        pytest.param(answer(206, {**MORE, "ETag": '"abd"'}, b"more"), id="another version"),
        pytest.param(answer(206, {**MORE, "Content-Encoding": "gzip"}, b"more"), id="a Content-Encoding"),
        pytest.param(error(416, "InvalidRange"), id="416"),
        pytest.param(answer(404), id="404 of a proxy"),
    ],
)
async def test_senseless_bytes_of_a_version_are_an_error(said: bytes) -> None:
    """A response that is not the requested range of the requested version is an error."""
    async with facing(says(said)) as (store, _):
        await unavailable(store, VERBS["more_bytes"])


@pytest.mark.parametrize("said", [error(412, "PreconditionFailed"), error(404, "NoSuchKey")])
async def test_bytes_of_a_gone_version_are_none(said: bytes) -> None:
    """The bytes of an object that was replaced or deleted are None."""
    async with facing(says(said)) as (store, _):
        assert await VERBS["more_bytes"].call(store) is None


async def test_last_bytes_are_fewer() -> None:
    """A range that ends at the end of the object has fewer bytes than requested."""
    last = answer(206, {**OBJECT, "Content-Range": "bytes 5-6/7"}, b"mo")
    async with facing(says(last)) as (store, _):
        assert await VERBS["more_bytes"].call(store) == b"mo"


async def test_an_empty_object_is_that_of_head() -> None:
    """An empty object, which has no first byte, is returned as of HeadObject."""
    empty = answer(200, OBJECT)
    async with facing(says(error(416, "InvalidRange")), says(empty)) as (store, _):
        found = await VERBS["first_bytes"].call(store)
        assert found == (StoredObject(0, "audio/mpeg", "abc", NOW, {}), b"")


@pytest.mark.parametrize("size", [0, 1, 3, 4])
async def test_a_small_object_is_returned_whole(size: int) -> None:
    """An object with fewer bytes than requested is returned whole."""
    body, content_range = b"ID3\x04"[:size], {"Content-Range": f"bytes 0-{size - 1}/{size}"}
    ways = [answer(200, OBJECT, body), answer(206, {**OBJECT, **content_range}, body)]
    for said in ways if size else ways[:1]:
        async with facing(says(said)) as (store, _):
            found = await VERBS["first_bytes"].call(store)
            assert found == (StoredObject(size, "audio/mpeg", "abc", NOW, {}), body)


async def test_an_empty_object_may_disappear() -> None:
    """An empty object that HeadObject does not find any more is None."""
    async with facing(says(error(416, "InvalidRange")), says(answer(404))) as (store, _):
        assert await VERBS["first_bytes"].call(store) is None


async def test_a_416_for_a_full_object_is_an_error() -> None:
    """A 416 for an object that is not empty is an error."""
    async with facing(says(error(416, "InvalidRange")), says(VERBS["head"].good)) as (store, _):
        assert await unavailable(store, VERBS["first_bytes"]) == "GetObject returned 416, InvalidRange"


async def test_requests_for_an_empty_object_share_a_deadline() -> None:
    """Both requests for an empty object share one deadline."""
    slowly = silence_then(error(416, "InvalidRange"))
    async with facing(slowly, silence, timeouts=TIMEOUTS) as (store, _):
        await unavailable(store, VERBS["first_bytes"])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(COPIED[:-5], id="S13 truncated"),
        pytest.param(b"", id="S13 empty"),
        pytest.param(b"<html><body>Service Unavailable</body></html>", id="S13 a page"),
        pytest.param(b"<Error><Code>InternalError</Code></Error>", id="an error after the 200"),
        pytest.param(b"<?xml version='1.0' encoding='klingon'?>" + COPIED, id="an unknown encoding"),
        pytest.param(COPIED.replace(b"&quot;abc&quot;", b""), id="empty ETag"),
        pytest.param(COPIED.replace(b"&quot;abc", b"W/&quot;abc"), id="S14 weak ETag"),
        pytest.param(COPIED.replace(b".250Z", b""), id="a time without a zone"),
        pytest.param(COPIED.replace(b"2027-01-15T08", b"yesterday"), id="no time"),
    ],
)
async def test_s13_a_copy_needs_its_document(body: bytes) -> None:
    """A 200 to CopyObject without a valid CopyObjectResult is an error."""
    async with facing(says(answer(200, body=body))) as (store, _):
        await unavailable(store, VERBS["copy"])


async def test_an_error_in_a_200_is_named() -> None:
    """The reason names the error in the body of a 200 to CopyObject."""
    async with facing(says(answer(200, body=b"<Error><Code>InternalError</Code></Error>"))) as (store, _):
        assert "200, InternalError" in await unavailable(store, VERBS["copy"])


async def test_an_etag_in_xml_needs_no_quotes() -> None:
    """An ETag without quotes in an XML document is accepted."""
    async with facing(says(answer(200, body=COPIED.replace(b"&quot;", b"")))) as (store, _):
        assert await VERBS["copy"].call(store) == VERBS["copy"].result


async def test_a_failed_condition_of_a_copy_is_none() -> None:
    """CopyObject with a failed condition returns None."""
    async with facing(says(error(412, "PreconditionFailed"))) as (store, server):
        assert await VERBS["copy"].call(store) is None
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [DELETED[:-5], b"", b"<html/>", b"<Error><Code>InternalError</Code></Error>"],
    ids=["S13 cut", "", "page", "error"],
)
async def test_s13_deleted_keys_need_their_document(body: bytes) -> None:
    """A 200 to DeleteObjects without a valid DeleteResult is an error."""
    async with facing(says(answer(200, body=body))) as (store, _):
        await unavailable(store, VERBS["delete_many"])


ERROR = b"<Error><Code>InternalError</Code></Error>"
ONE_PART = listed((1, 5))


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        pytest.param("create_multipart", CREATED[:-5], id="create_multipart, cut"),
        pytest.param("create_multipart", ERROR, id="create_multipart, an error after the 200"),
        pytest.param("create_multipart", CREATED.replace(b"UploadId", b"Id"), id="no UploadId"),
        pytest.param("create_multipart", CREATED.replace(b"an-id", b""), id="empty UploadId"),
        pytest.param("create_multipart", CREATED.replace(b"an-id", b"an id"), id="UploadId with a space"),
        pytest.param(
            "create_multipart", CREATED.replace(b"an-id", b"an\x7fid"), id="UploadId with a control character"
        ),
        pytest.param("create_multipart", CREATED.replace(b"an-id", b"an-id\n"), id="UploadId with a line's end"),
        pytest.param("create_multipart", CREATED.replace(b"an-id", b"x" * 1025), id="UploadId of 1025 characters"),
        pytest.param("open_multiparts", OPEN[:-5], id="open_multiparts, cut"),
        pytest.param("open_multiparts", b"", id="open_multiparts, empty"),
        pytest.param("open_multiparts", ERROR, id="open_multiparts, an error after the 200"),
        pytest.param("list_parts", ONE_PART[:-5], id="list_parts, cut"),
        pytest.param("list_parts", ERROR, id="list_parts, an error after the 200"),
        pytest.param("list_parts", ONE_PART.replace(b"ListPartsResult", b"html"), id="another document"),
        pytest.param("list_parts", ONE_PART.replace(b"<Size>5</Size>", b""), id="no size"),
        pytest.param("list_parts", ONE_PART.replace(b">5<", b">five<"), id="size of letters"),
        pytest.param("list_parts", ONE_PART.replace(b">5<", b">-5<"), id="negative size"),
        pytest.param("list_parts", ONE_PART.replace(b">5<", b">" + b"5" * 20 + b"<"), id="size of 20 digits"),
        pytest.param("list_parts", ONE_PART.replace(b"<PartNumber>1</PartNumber>", b""), id="no number"),
        pytest.param("list_parts", ONE_PART.replace(b">1<", b">-1<"), id="negative number"),
        pytest.param("list_parts", listed((0, 5)), id="number 0"),
        pytest.param("list_parts", ONE_PART.replace(b"&quot;e1&quot;", b""), id="empty ETag of a part"),
        pytest.param("list_parts", ONE_PART.replace(b"ETag", b"Tag"), id="no ETag of a part"),
        pytest.param("list_parts", listed(truncated=True), id="an empty page with another to follow"),
        pytest.param("list_parts", listed((1, 5), truncated=True), id="the same page for ever"),
        pytest.param("copy_part", COPIED_PART[:-5], id="copy_part, cut"),
        pytest.param("copy_part", ERROR, id="copy_part, an error after the 200"),
        pytest.param("copy_part", COPIED_PART.replace(b"&quot;abc&quot;", b""), id="empty ETag of a copied part"),
        pytest.param("complete_multipart", COMPLETED[:-5], id="complete_multipart, cut"),
        pytest.param("complete_multipart", ERROR, id="complete_multipart, an error after the 200"),
    ],
)
async def test_s13_multipart_operations_need_their_documents(verb: str, body: bytes) -> None:
    """A 200 to a multipart operation without its valid document is an error."""
    async with facing(says(answer(200, body=body))) as (store, _):
        await unavailable(store, VERBS[verb])


async def test_all_pages_of_parts_are_read() -> None:
    """All pages of ListParts are read, within one deadline."""
    pages = [listed((1, 5), (2, 5), truncated=True), listed((3, 5), truncated=True), listed((9, 1))]
    async with facing(*(says(answer(200, body=page)) for page in pages)) as (store, server):
        assert [part.number for part in await VERBS["list_parts"].call(store)] == [1, 2, 3, 9]
        markers = [request.split("part-number-marker=")[1].split("&")[0] for request in server.requests]
    assert markers == ["0", "2", "3"]
    slowly = (silence_then(answer(200, body=page)) for page in pages)
    async with facing(*slowly, timeouts=TIMEOUTS) as (store, _):
        await unavailable(store, VERBS["list_parts"])


async def test_an_endless_listing_ends() -> None:
    """A listing without end ends at the deadline."""
    async with facing(timeouts=TIMEOUTS) as (store, server):
        pages = (listed((number, 5), truncated=True) for number in itertools.count(1))

        async def next_page(request: str, writer: asyncio.StreamWriter) -> None:
            await keeps(answer(200, body=next(pages)))(request, writer)

        server.acts = (next_page,)
        assert "TimeoutError" in await unavailable(store, VERBS["list_parts"])
        assert len(server.requests) > 3


async def test_a_long_page_is_read_whole() -> None:
    """A page of a thousand parts with long ETags is read whole."""
    body = listed(*((number, 2**40) for number in range(1, 1001))).replace(b"&quot;e", b"&quot;" + b"e" * 512)
    async with facing(says(answer(200, body=body))) as (store, _):
        assert len(await VERBS["list_parts"].call(store)) == 1000


async def test_senseless_upload_ids_are_left_out() -> None:
    """Multipart uploads whose S3 UploadId is not valid are left out."""
    body = OPEN.replace(b"<UploadId>2<", b"<UploadId>a b<")
    async with facing(says(answer(200, body=body))) as (store, _):
        assert [upload.s3_upload_id for upload in await VERBS["open_multiparts"].call(store)] == ["0", "1"]


async def test_all_pages_of_open_uploads_are_read() -> None:
    """All pages of ListMultipartUploads are read."""
    truncated = b"<IsTruncated>true</IsTruncated><NextKeyMarker>incoming/k%d</NextKeyMarker>"
    with_id = truncated % 1 + b"<NextUploadIdMarker>an id</NextUploadIdMarker>"
    pages = [OPEN.replace(b"</List", middle + b"</List") for middle in (with_id, truncated % 2, b"")]
    async with facing(*(says(answer(200, body=page)) for page in pages)) as (store, server):
        assert len(await VERBS["open_multiparts"].call(store)) == 9
        queries = [parse_qs(request.split(" ")[1].partition("?")[2]) for request in server.requests]
    markers = [(query.get("key-marker"), query.get("upload-id-marker")) for query in queries]
    assert markers == [(None, None), (["incoming/k1"], ["an id"]), (["incoming/k2"], None)]


async def test_a_page_without_marker_is_an_error() -> None:
    """A page of ListMultipartUploads that is cut and has no marker is an error."""
    page = OPEN.replace(b"</List", b"<IsTruncated>true</IsTruncated></List")
    async with facing(says(answer(200, body=page))) as (store, _):
        await unavailable(store, VERBS["open_multiparts"])


@pytest.mark.parametrize("moment", [b"", b"yesterday", b"2027-01-15T08:00:01"])
async def test_an_upload_without_date_is_the_oldest(moment: bytes) -> None:
    """A multipart upload without a date is regarded as the oldest."""
    body = OPEN.replace(b"2027-01-15T08:00:01Z", moment)
    async with facing(says(answer(200, body=body))) as (store, _):
        assert (await VERBS["open_multiparts"].call(store))[0] == OpenMultipart(REF.key, "1", 0)


@pytest.mark.parametrize("etag", [b"", b"W/&quot;abc-1&quot;"])
async def test_e10_a_completion_needs_no_etag(etag: bytes) -> None:
    """A CompleteMultipartUploadResult without an ETag is accepted."""
    body = COMPLETED.replace(b"&quot;abc-1&quot;", etag)
    async with facing(says(answer(200, body=body))) as (store, _):
        assert await VERBS["complete_multipart"].call(store) is True


@pytest.mark.parametrize("verb", ["copy", "copy_part", "complete_multipart", "list_parts", "delete_many"])
async def test_e10_leading_white_space_is_skipped(verb: str) -> None:
    """White space before an XML document is skipped."""
    _, _, body = VERBS[verb].good.partition(b"\r\n\r\n")
    body = b" \r\n\t" * 100 + b"<?xml version='1.0' encoding='UTF-8'?>" + body
    async with facing(says(answer(200, body=body))) as (store, _):
        assert await VERBS[verb].call(store) == VERBS[verb].result


async def test_the_later_of_two_parts_is_last() -> None:
    """Of two parts with one number the later one comes last."""
    body = listed((2, 7), moment="2027-01-15T08:00:01Z").replace(b"</ListPartsResult>", b"")
    body += listed((1, 5), (2, 6)).split(b"</IsTruncated>")[1]
    async with facing(says(answer(200, body=body))) as (store, _):
        found = await VERBS["list_parts"].call(store)
    assert [(part.number, part.size) for part in found] == [(1, 5), (2, 6), (2, 7)]


async def test_s13_an_endless_body_is_cut() -> None:
    """A body without end is cut, and is an error."""
    head = b"HTTP/1.1 200 OK\r\n\r\n<CopyObjectResult>"
    async with facing(endless(head, b"<ETag>" + b"x" * 65536 + b"</ETag>")) as (store, _):
        await unavailable(store, VERBS["copy"])


async def test_any_bytes_give_a_value_or_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Any bytes as a response give a value or StorageUnavailableError."""
    monkeypatch.setattr("broker.store.transport._RETRY_PAUSE", (0, 0))
    chance = random.Random(20261123)
    values = (StoredObject, CopiedObject, Part, tuple, frozenset, list, dict, str, bool, type(None))
    async with facing(says(b"")) as (store, server):
        for _ in range(300):
            verb = chance.choice(list(VERBS.values()))
            server.acts = (says(mutated(verb.good, chance)),)
            try:
                assert isinstance(await verb.call(store), values)
            except StorageUnavailableError as refusal:
                check_discreet(refusal.reason)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return a response in which some bytes were changed, removed or added."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(changed) + 1)
        new = chance.choice([bytes([chance.randrange(256)]), b"\r\n", b"-", b"\x00", b"9" * 20, b""])
        changed[at : at + chance.choice([0, 1, 1, 12])] = new
    return bytes(changed)
