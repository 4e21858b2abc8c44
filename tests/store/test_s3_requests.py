"""The requests that the adapter sends."""

import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest

from broker.core.model import Part
from broker.errors import StorageUnavailableError
from broker.store.s3_requests import complete_request

from .calls import LATE, OBJECT, REF, TARGET, VERBS, Verb, check_discreet, every_verb, store_at
from .certificates import Authority
from .wire import Wire, answer, keeps, says, wire


async def sent(verb: Verb) -> dict[str, str]:
    """Return the headers of a request, with their names as sent."""
    async with wire(says(verb.good)) as server, store_at(f"http://127.0.0.1:{server.port}") as store:
        await verb.call(store)
    lines = server.requests[0].rstrip().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


@every_verb
async def test_default_headers_are_few(verb: Verb) -> None:
    """A request has a User-Agent, accepts no content coding, and has no other default header."""
    headers = await sent(verb)

    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"] == "r2-upload-broker"
    assert not {"Accept", "Authorization", "Cookie", "Content-Type", "Referer"} & set(headers)


@every_verb
async def test_every_relevant_header_is_signed(verb: Verb) -> None:
    """Every header on which a store acts is signed."""
    async with wire(says(verb.good)) as server, store_at(f"http://127.0.0.1:{server.port}") as store:
        await verb.call(store)
    target, *lines = server.requests[0].rstrip().split("\r\n")
    signed = set(target.split("X-Amz-SignedHeaders=")[1].split("&")[0].split("%3B"))
    named = {line.split(":")[0].lower() for line in lines}

    assert named - signed == {"accept-encoding", "user-agent"} | (named & {"content-length"})
    assert signed <= named


async def test_the_headers_of_a_copy() -> None:
    """CopyObject has its source, its conditions and all new headers of the object."""
    headers = await sent(VERBS["copy"])

    assert {name: value for name, value in headers.items() if name.islower()} == {
        "content-type": "audio/mpeg",
        "x-amz-copy-source": "bucket-canary/incoming/key-canary.mp3",
        "x-amz-copy-source-if-match": '"abc"',
        "x-amz-metadata-directive": "REPLACE",
        "cf-copy-destination-if-none-match": "*",
    }
    assert headers["Content-Length"] == "0"


async def test_first_bytes_has_a_range() -> None:
    """GetObject has the range of the first bytes."""
    assert (await sent(VERBS["first_bytes"]))["range"] == "bytes=0-3"


async def test_more_bytes_have_a_range_and_a_condition() -> None:
    """GetObject of further bytes has their range, and the condition that the object has not changed."""
    headers = await sent(VERBS["more_bytes"])
    assert (headers["range"], headers["if-match"]) == ("bytes=5-8", '"abc"')


async def asked(name: str) -> tuple[str, dict[str, list[str]]]:
    """Return the method and the query of a request, without the parameters of the signature."""
    verb = VERBS[name]
    async with wire(says(verb.good)) as server, store_at(f"http://127.0.0.1:{server.port}") as store:
        await verb.call(store)
    method, target, _ = server.requests[0].split(" ", 2)
    query = parse_qs(urlsplit(target).query, keep_blank_values=True)
    return method, {name: values for name, values in query.items() if not name.startswith("X-Amz-")}


async def test_the_queries_of_multipart_operations() -> None:
    """Multipart operations have the methods and queries of the S3 API."""
    assert await asked("create_multipart") == ("POST", {"uploads": [""]})
    assert await asked("open_multiparts") == ("GET", {"uploads": [""], "prefix": ["incoming/key-canary.mp3"]})
    assert await asked("list_parts") == ("GET", {"uploadId": ["an-id"], "part-number-marker": ["0"]})
    assert await asked("copy_part") == ("PUT", {"uploadId": ["an-id"], "partNumber": ["7"]})
    assert await asked("complete_multipart") == ("POST", {"uploadId": ["an-id"]})
    assert await asked("abort_multipart") == ("DELETE", {"uploadId": ["an-id"]})


async def test_the_headers_of_a_copied_part() -> None:
    """UploadPartCopy has its source, its condition and the first and last byte."""
    headers = await sent(VERBS["copy_part"])

    assert headers["x-amz-copy-source"] == "bucket-canary/incoming/key-canary.mp3"
    assert headers["x-amz-copy-source-range"] == "bytes=10-14"
    assert headers["x-amz-copy-source-if-match"] == '"abc"'


async def test_a_completion_is_create_only() -> None:
    """CompleteMultipartUpload has the condition that no object exists."""
    assert (await sent(VERBS["complete_multipart"]))["if-none-match"] == "*"


async def test_a_tombstone_has_no_condition() -> None:
    """PutObject of a tombstone has no condition and no body."""
    headers = await sent(VERBS["put_empty"])

    assert "if-none-match" not in headers
    assert (headers["Content-Length"], headers["x-amz-meta-broker-state"]) == ("0", "deleted")


def test_etags_are_escaped_in_xml() -> None:
    """The body of a completion escapes its ETags."""
    body = complete_request([Part(1, 5, 'e&1"</ETag>'), Part(2, 4, "e2")])

    parts = ET.fromstring(body).findall("{*}Part")
    assert [(part.findtext("{*}PartNumber"), part.findtext("{*}ETag")) for part in parts] == [
        ("1", '"e&1"</ETag>"'),
        ("2", '"e2"'),
    ]


async def test_no_cookie_is_kept() -> None:
    """A cookie of the store is not sent back."""
    good = answer(200, {**OBJECT, "Content-Length": "11", "Set-Cookie": "session=1; Path=/"})
    async with wire(keeps(good)) as server, store_at(f"http://127.0.0.1:{server.port}") as store:
        await store.head(REF)
        await store.head(REF)
    assert server.connections == 1
    assert "cookie" not in server.requests[1].lower()


async def test_no_proxy_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Proxies and a netrc file in the environment are not used."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(wire(says(answer(200))))
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NETRC", str(netrc))
        server = await stack.enter_async_context(wire(says(VERBS["head"].good)))
        store = await stack.enter_async_context(store_at(f"http://127.0.0.1:{server.port}"))
        assert await store.head(REF) == VERBS["head"].result
    assert "authorization" not in server.requests[0].lower()
    assert proxy.connections == 0


async def test_metadata_is_lowercase_text() -> None:
    """Metadata has lowercase names, and its values are text for any bytes."""
    metadata = {
        "X-Amz-Meta-Owner": "user%201",
        "x-amz-meta-FileName": "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
        "X-Other": "1",
    }
    good = answer(200, {**OBJECT, "Content-Length": "11", **metadata}).replace("é".encode(), b"\xe9")
    async with wire(says(good)) as server, store_at(f"http://127.0.0.1:{server.port}") as store:
        found = await store.head(REF)
    assert found
    assert found.metadata == {"owner": "user%201", "filename": "caf\N{REPLACEMENT CHARACTER}"}


async def test_an_object_may_have_no_type() -> None:
    """An object without a Content-Type has an empty one."""
    headers = {name: value for name, value in OBJECT.items() if name != "Content-Type"}
    async with (
        wire(says(answer(200, {**headers, "Content-Length": "11"}))) as server,
        store_at(f"http://127.0.0.1:{server.port}") as store,
    ):
        found = await store.head(REF)
    assert found
    assert found.content_type == ""


async def test_connections_are_reused() -> None:
    """Calls one after the other use one connection."""
    good = VERBS["first_bytes"].good
    async with wire(keeps(good)) as server, store_at(f"http://127.0.0.1:{server.port}") as store:
        for _ in range(5):
            await store.first_bytes(REF, 4)
    assert server.connections == 1


async def test_delete_many_without_keys_sends_nothing() -> None:
    """DeleteObjects without keys sends no request."""
    async with wire(says(b"")) as server, store_at(f"http://127.0.0.1:{server.port}") as store:
        assert await store.delete_many(TARGET.bucket, []) == {}
    assert server.connections == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One for all tests over TLS."""
    return Authority(tmp_path_factory.mktemp("authority"))


async def over_tls(server: Wire, trust: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> object:
    """Send HeadObject over TLS with these trusted authorities."""
    monkeypatch.setattr("broker.http_client.origin.default_tls_context", lambda: trust)
    async with store_at(f"https://127.0.0.1:{server.port}", LATE) as store:
        return await store.head(REF)


async def test_a_good_certificate_is_accepted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with a valid certificate is called."""
    async with wire(says(VERBS["head"].good), tls=authority.server()) as server:
        assert await over_tls(server, authority.trust(), monkeypatch) == VERBS["head"].result


@pytest.mark.parametrize("fault", ["expired", "of another host", "of another authority", "none, plain HTTP"])
async def test_s12_a_bad_certificate_is_refused(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    """A store with an invalid certificate receives no request."""
    contexts = {
        "expired": authority.server(days=-1),
        "of another host": authority.server("127.0.0.2"),
        "of another authority": Authority(tmp_path).server(),
        "none, plain HTTP": None,
    }
    async with wire(says(VERBS["head"].good), tls=contexts[fault]) as server:
        with pytest.raises(StorageUnavailableError) as caught:
            await over_tls(server, authority.trust(), monkeypatch)
    check_discreet(caught.value.reason)
    assert server.requests == []
