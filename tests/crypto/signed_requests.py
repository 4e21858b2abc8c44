"""Requests to presign for the tests, their strategies, and the same by botocore under a frozen clock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.utils import percent_encode
from hypothesis import strategies as st

from broker.core.model import ObjectRef
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import MAX_EXPIRES_IN, METHODS, Credentials

ENDPOINT = "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEPT//////////wEaDA+/=="
NOW = 1_764_000_000
REF = ObjectRef("songs", "incoming/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3")


@dataclass(frozen=True)
class Request:
    """Everything that determines a presigned URL."""

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

    def presigner(self) -> Presigner:
        """Return a new presigner for the request's endpoint and credentials."""
        credentials = Credentials(self.key_id, self.secret, self.token)
        return Presigner(credentials, self.endpoint, region=self.region)

    def presign(self, presigner: Presigner | None = None) -> str:
        """Return the URL by ``presigner``, or by a new one."""
        return (presigner or self.presigner()).presign(
            self.method,
            self.ref,
            now=self.now,
            expires_in=self.expires_in,
            headers=self.headers,
            query=self.query,
        )

    def presign_each(self, name: str, values: list[str]) -> list[str]:
        """Return the URLs with each of ``values`` of the query parameter ``name``."""
        return self.presigner().presign_each(
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
        """Return the URL by botocore's signer."""
        path = (
            f"/{self.ref.bucket}/{self.ref.key}"
            if self.ref.bucket and self.ref.key
            else f"/{self.ref.bucket or self.ref.key}"
        )
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
    """Stop botocore's clock at ``now``."""
    instant = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    with mock.patch.object(auth, "get_current_datetime", return_value=instant):
        yield


def parts(url: str) -> tuple[str, list[tuple[str, str]]]:
    """Return a URL as the store reads it: botocore puts the signature's parameters last, we sort all parameters."""
    before, _, query = url.partition("?")
    return before, sorted(parse_qsl(query, keep_blank_values=True, strict_parsing=True))


def signature_of(url: str) -> str:
    """Return the signature in a URL."""
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
# Botocore does not sign these, or takes their values from the endpoint and the payload.
NOT_SIGNED = {*auth.SIGNED_HEADERS_BLACKLIST, "host", "authorization", "x-amz-content-sha256"}
NAMES = st.one_of(USUAL, TOKENS).filter(lambda name: name.lower() not in NOT_SIGNED)
# Botocore drops this one value of Content-Type, because it may have set it itself.
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
    method=st.sampled_from(sorted(METHODS)),
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
