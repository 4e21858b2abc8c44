"""The signer against botocore under one frozen clock, over whatever keys, headers and queries a request may have."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.utils import percent_encode
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from broker.core.model import ObjectRef
from broker.crypto import sigv4
from broker.crypto.sigv4 import MAX_EXPIRES_IN, Credentials, Presigner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ENDPOINT = "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEPT//////////wEaDA+/=="
NOW = 1_764_000_000
REF = ObjectRef("songs", "incoming/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3")


@dataclass(frozen=True)
class Request:
    """Everything a presigned URL follows from."""

    method: str = "PUT"
    ref: ObjectRef = REF
    now: int = NOW
    expires_in: int = 900
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ENDPOINT
    region: str = "auto"
    key_id: str = KEY_ID
    secret: str = SECRET
    token: str | None = None

    def presign(self) -> str:
        credentials = Credentials(self.key_id, self.secret, self.token)
        return Presigner(credentials, self.endpoint, region=self.region).presign(
            self.method,
            self.ref,
            now=self.now,
            expires_in=self.expires_in,
            headers=self.headers,
            query=self.query,
        )

    def presign_each(self, name: str, values: list[str]) -> list[str]:
        credentials = Credentials(self.key_id, self.secret, self.token)
        return Presigner(credentials, self.endpoint, region=self.region).presign_each(
            self.method,
            self.ref,
            name,
            values,
            now=self.now,
            expires_in=self.expires_in,
            headers=self.headers,
            query=self.query,
        )

    def presign_by_botocore(self) -> str:
        path = f"/{self.ref.bucket}/{self.ref.key}" if self.ref.key else f"/{self.ref.bucket}"
        request = AWSRequest(
            self.method,
            self.endpoint + percent_encode(path, safe="/~"),
            headers=dict(self.headers),
            params=dict(self.query),
        )
        credentials = BotoCredentials(self.key_id, self.secret, self.token)
        with frozen(self.now):
            auth.S3SigV4QueryAuth(credentials, "s3", self.region, expires=self.expires_in).add_auth(request)
        return str(request.url)


@contextmanager
def frozen(now: int) -> Iterator[None]:
    """Botocore's clock stands still."""
    instant = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    with mock.patch.object(auth, "get_current_datetime", return_value=instant):
        yield


def parts(url: str) -> tuple[str, list[tuple[str, str]]]:
    """A URL as the store reads it: botocore puts the signature's parameters last, we put all in canonical order."""
    before, _, query = url.partition("?")
    return before, sorted(parse_qsl(query, keep_blank_values=True, strict_parsing=True))


def signature_of(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))["X-Amz-Signature"]


TEXT = st.text(st.characters(codec="utf-8"))
HOSTILE = st.sampled_from(
    [
        " ",
        "+",
        "%",
        "%2F",
        "%25",
        "?",
        "#",
        "&",
        "=",
        ";",
        "~",
        "*",
        "'",
        '"',
        "\\",
        ".",
        "..",
        "/",
        "//",
        "/../",
        "é",
        "ﬀ",
        "\0",
    ]
)
KEYS = st.one_of(
    TEXT, st.lists(st.one_of(HOSTILE, TEXT), max_size=12).map("".join), TEXT.map(lambda text: text[:2] * 500)
)
BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True)
INSTANTS = st.integers(0, 4_102_444_800)

TOKENS = st.text(
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=1, max_size=30
)
USUAL = st.sampled_from(
    [
        "Content-Type",
        "content-length",
        "If-None-Match",
        "x-amz-checksum-sha256",
        "X-AMZ-META-Owner",
        "Cache-Control",
        "Range",
    ]
)
# Botocore leaves these out of what it signs, or lets them stand for what the endpoint and the payload say.
NOT_SIGNED = {*auth.SIGNED_HEADERS_BLACKLIST, "host", "authorization", "x-amz-content-sha256"}
NAMES = st.one_of(USUAL, TOKENS).filter(lambda name: name.lower() not in NOT_SIGNED)
# Botocore drops this one value of Content-Type, thinking that it had set it itself.
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)).filter(
    lambda value: value != "application/x-www-form-urlencoded; charset=utf-8"
)
PADDED = st.builds("".join, st.tuples(st.text(" \t", max_size=3), VALUES, st.text(" \t", max_size=3)))
HEADERS = st.lists(st.tuples(NAMES, PADDED), max_size=6, unique_by=lambda pair: pair[0].lower()).map(dict)
QUERIES = st.dictionaries(
    st.one_of(
        st.sampled_from(["partNumber", "uploadId", "uploads", "response-content-disposition", "A", "x-id"]), TEXT
    ).filter(lambda name: not name.lower().startswith("x-amz-")),
    TEXT,
    max_size=5,
)
REQUESTS = st.builds(
    Request,
    method=st.sampled_from(sorted(sigv4.METHODS)),
    ref=st.builds(ObjectRef, BUCKETS, KEYS),
    now=INSTANTS,
    expires_in=st.integers(1, MAX_EXPIRES_IN),
    headers=HEADERS,
    query=QUERIES,
    endpoint=st.sampled_from(
        [
            ENDPOINT,
            "http://127.0.0.1:9000",
            "https://[::1]:8443",
            "https://R2.Example:443",
            "http://s3:80",
            "http://s3:443",
        ]
    ),
    region=st.sampled_from(["auto", "us-east-1"]),
    secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=100),
    token=st.sampled_from([None, "", TOKEN]),
)


@settings(deadline=None)
@given(REQUESTS)
@example(Request(headers={"Content-Type": "audio/mpeg", "Content-Length": "3", "If-None-Match": "*"}))
@example(Request(headers={"x%s": "100 %d"}, query={"a-": "1", "a": "2", "Z": "", "~": "%"}, token=TOKEN))
def test_a_url_is_the_one_that_botocores_signer_makes(request: Request) -> None:
    assert parts(request.presign()) == parts(request.presign_by_botocore())


@settings(deadline=None)
@given(REQUESTS, st.sampled_from(["partNumber", "A", "x-id", "é&=", ""]), st.lists(TEXT, max_size=4))
@example(Request(query={"uploadId": "x", "": "", "partNumber": "7", "zpartNumber": ""}), "partNumber", ["1", "2", "\0"])
def test_urls_that_differ_in_one_parameter_are_those_that_are_signed_one_by_one(
    request_: Request, name: str, values: list[str]
) -> None:
    one_by_one = [replace(request_, query={**request_.query, name: value}).presign() for value in values]
    assert request_.presign_each(name, values) == one_by_one


@pytest.fixture(scope="module")
def clients() -> dict[str | None, "S3Client"]:
    """Configured as R2 needs it."""
    config = Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return {
        token: boto3.client(
            "s3",
            endpoint_url=ENDPOINT,
            region_name="auto",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            aws_session_token=token,
            config=config,
        )
        for token in (None, TOKEN)
    }


@dataclass(frozen=True)
class Operation:
    """An operation of S3 as boto3's caller names it, and the request that it is."""

    name: str
    method: str
    params: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def operations(size: int, text: str, number: int, upload: str) -> list[Operation]:
    part = {"partNumber": str(number), "uploadId": upload}
    return [
        Operation("get_object", "GET"),
        Operation("head_object", "HEAD", {"IfMatch": text}, {"If-Match": text}),
        Operation("delete_object", "DELETE"),
        Operation(
            "get_object", "GET", {"ResponseContentDisposition": upload}, query={"response-content-disposition": upload}
        ),
        Operation(
            "put_object",
            "PUT",
            {"ContentType": text, "ContentLength": size, "IfNoneMatch": "*", "Metadata": {"Owner": text.strip()}},
            {"Content-Type": text, "Content-Length": str(size), "If-None-Match": "*", "X-Amz-Meta-Owner": text},
        ),
        Operation(
            "upload_part",
            "PUT",
            {"PartNumber": number, "UploadId": upload, "ContentLength": size},
            {"content-length": str(size)},
            part,
        ),
        Operation("create_multipart_upload", "POST", query={"uploads": ""}),
        Operation("list_parts", "GET", {"UploadId": upload}, query={"uploadId": upload}),
    ]


OPERATIONS = st.builds(
    operations,
    size=st.integers(0, 5 << 40),
    text=VALUES.filter(str.strip),
    number=st.integers(1, 10_000),
    upload=TEXT.filter(bool),
).flatmap(st.sampled_from)


@settings(deadline=None)
@given(
    operation=OPERATIONS,
    ref=st.builds(ObjectRef, BUCKETS, KEYS.filter(bool)),
    now=INSTANTS,
    token=st.sampled_from([None, TOKEN]),
)
def test_a_url_is_the_one_that_boto3_generates(
    clients: "dict[str | None, S3Client]", operation: Operation, ref: ObjectRef, now: int, token: str | None
) -> None:
    with frozen(now):
        url = clients[token].generate_presigned_url(
            operation.name, Params={"Bucket": ref.bucket, "Key": ref.key, **operation.params}, ExpiresIn=900
        )
    request = Request(operation.method, ref, now, headers=operation.headers, query=operation.query, token=token)

    assert parts(request.presign()) == parts(url)


@settings(deadline=None)
@given(now=INSTANTS, prefix=TEXT)
def test_a_request_to_a_bucket_has_the_path_that_boto3_gives_it(
    clients: "dict[str | None, S3Client]", now: int, prefix: str
) -> None:
    """No slash follows the bucket."""
    with frozen(now):
        url = clients[None].generate_presigned_url(
            "list_objects_v2", Params={"Bucket": "songs", "Prefix": prefix, "EncodingType": "url"}, ExpiresIn=900
        )
    query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
    request = Request("GET", ObjectRef("songs", ""), now, query=query)

    assert parts(request.presign()) == parts(url)


CHANGES: dict[str, Callable[[Request], Request]] = {
    "method": lambda request: replace(request, method="HEAD" if request.method == "GET" else "GET"),
    "bucket": lambda request: replace(request, ref=changed(request.ref, bucket=request.ref.bucket + "x")),
    "key": lambda request: replace(request, ref=changed(request.ref, key=request.ref.key + "x")),
    "instant": lambda request: replace(request, now=request.now + 1),
    "lifetime": lambda request: replace(request, expires_in=request.expires_in % MAX_EXPIRES_IN + 1),
    "another header": lambda request: replace(request, headers={**request.headers, "x-another": ""}),
    "header value": lambda request: replace(request, headers={k: "x" + v.strip() for k, v in request.headers.items()}),
    "header name": lambda request: replace(request, headers={k + "x": v for k, v in request.headers.items()}),
    "another parameter": lambda request: replace(request, query={**request.query, "\0another": ""}),
    "parameter value": lambda request: replace(request, query={k: v + "x" for k, v in request.query.items()}),
    "parameter name": lambda request: replace(request, query={k + "x": v for k, v in request.query.items()}),
    "host": lambda request: replace(request, endpoint="https://other.example"),
    "region": lambda request: replace(request, region=request.region + "x"),
    "access key id": lambda request: replace(request, key_id=request.key_id + "x"),
    "secret": lambda request: replace(request, secret=request.secret + "x"),
    "session token": lambda request: replace(request, token=f"{request.token}x"),
}


@settings(max_examples=25, deadline=None)
@given(request=REQUESTS.filter(lambda request: bool(request.headers and request.query)))
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_else_is_asked_has_another_signature(change: Callable[[Request], Request], request: Request) -> None:
    assert signature_of(request.presign()) != signature_of(change(request).presign())


@given(st.sampled_from(["Content-Type", "x-amz-meta-a", "x%s"]), VALUES, VALUES, st.characters())
def test_no_value_with_a_control_or_a_character_beyond_ascii_is_signed(
    name: str, before: str, after: str, character: str
) -> None:
    """Neither CR nor LF nor any other, inside or at an end, is taken for white space and repaired."""
    value = before + character + after
    if " " <= character <= "~" or (character == "\t" and not (before.strip() and after.strip())):
        assert Request(headers={name: value}).presign()
    else:
        with pytest.raises(ValueError, match=rf"^the value of header '{name}' is not printable ASCII$"):
            Request(headers={name: value}).presign()


@pytest.mark.parametrize(
    "value", [None, 3, b"audio/mpeg", "a\rb", "a\nx-amz-acl:public-read", "a\r\n", "\0", "\ud800", "é"]
)
def test_a_refused_header_is_named_and_its_value_is_not_told(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^the value of header 'Content-Type' is not printable ASCII$"):
        Request(headers={"Content-Type": value}).presign()


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:b", "a\nb", "a\r", "é", "\u212a", "\ud800", "a\0", "(a)", None, 3, b"a"]
)
def test_a_header_name_that_is_no_token_of_rfc_9110_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match=r"^header name .* is not a token$"):
        Request(headers={name: "x"}).presign()


@pytest.mark.parametrize("name", ["Host", "host", "Authorization", "X-Amz-Content-SHA256"])
def test_what_the_signer_or_the_store_decides_by_is_not_the_callers_to_set(name: str) -> None:
    with pytest.raises(ValueError, match=f"^header '{name}' is reserved or repeated$"):
        Request(headers={name: "x"}).presign()


def test_a_header_given_twice_in_different_case_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^header 'content-type' is reserved or repeated$"):
        Request(headers={"Content-Type": "audio/mpeg", "content-type": "text/html"}).presign()


@pytest.mark.parametrize(
    "name", ["X-Amz-Expires", "x-amz-expires", "X-AMZ-SECURITY-TOKEN", "X-Amz-", "x-amz-content-sha256"]
)
def test_a_parameter_of_the_signature_is_not_the_callers_to_set(name: str) -> None:
    with pytest.raises(ValueError, match=f"^query parameter '{name}' belongs to the signature$"):
        Request(query={name: "1"}).presign()


@pytest.mark.parametrize(
    "request_",
    [
        Request(ref=ObjectRef("songs", "\ud800")),
        Request(query={"a": "\udfff"}),
        Request(query={"\udfff": "a"}),
    ],
    ids=["key", "parameter value", "parameter name"],
)
def test_what_has_no_encoding_is_refused(request_: Request) -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        request_.presign()


@pytest.mark.parametrize("method", ["", "put", "PATCH", "OPTIONS", "PUT\n", "PUT\n/"])
def test_a_method_that_s3_does_not_have_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match=r" is not a method of S3$"):
        Request(method).presign()


@pytest.mark.parametrize("seconds", [-1, 0, MAX_EXPIRES_IN + 1])
def test_a_lifetime_is_from_one_second_to_a_week(seconds: int) -> None:
    with pytest.raises(ValueError, match=f"^expires_in must be 1 to 604800 seconds, not {seconds}$"):
        Request(expires_in=seconds).presign()


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "r2.example",
        "ftp://r2.example",
        "https://",
        "https://r2.example/",
        "https://r2.example/songs",
        "https://r2.example?x",
        "https://r2.example#x",
        "https://r2.example:",
        "https://r2.example:x",
        "https://id:secret@r2.example",
        "https://r2.example\n",
        "https://r2 .example",
        "https://\u212a.example",
        "https://::1",
    ],
)
def test_an_endpoint_is_a_scheme_and_an_authority_alone(endpoint: str) -> None:
    """The message does not repeat it: a misplaced password may stand there."""
    with pytest.raises(ValueError, match=r"^the endpoint must be https://host\[:port\] and nothing more$"):
        Request(endpoint=endpoint).presign()


@pytest.mark.parametrize("show", [repr, str])
def test_no_secret_is_shown(show: Callable[[object], str]) -> None:
    credentials = Credentials(KEY_ID, SECRET, TOKEN)
    presigner = Presigner(credentials, ENDPOINT)
    presigner.presign("GET", REF, now=NOW, expires_in=900)
    shown = show(credentials) + show(presigner) + show(presigner._day)

    assert KEY_ID in show(credentials)
    assert not any(secret in shown for secret in (SECRET, TOKEN, sigv4.signing_key(SECRET, "20251124", "auto").hex()))


def test_a_signing_key_is_derived_once_for_a_date() -> None:
    """And once more for each change of date: only the latest is kept."""
    day = 86_400
    presigner = Presigner(Credentials(KEY_ID, SECRET), ENDPOINT)
    with mock.patch.object(sigv4, "signing_key", wraps=sigv4.signing_key) as derive:
        for now in (NOW, NOW + 1, NOW, NOW + day, NOW + day + 1, NOW):
            presigner.presign("GET", REF, now=now, expires_in=900)

    assert [call.args[1] for call in derive.call_args_list] == ["20251124", "20251125", "20251124"]


def test_threads_that_sign_for_different_dates_do_not_disturb_each_other() -> None:
    presigner = Presigner(Credentials(KEY_ID, SECRET), ENDPOINT)
    instants = [NOW + 86_400 * (number % 3) for number in range(600)]
    with ThreadPoolExecutor(4) as pool:
        urls = list(pool.map(lambda now: presigner.presign("PUT", REF, now=now, expires_in=900), instants))

    assert [Request(now=now).presign() for now in instants] == urls
