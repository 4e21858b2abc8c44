"""Each step of the signature compared with the examples that AWS has published.

The worked examples are those of the Amazon S3 API reference: "Authenticating Requests: Using Query Parameters" and
"Signature Calculations for the Authorization Header". The others are cases of AWS's Signature Version 4 test suite:
those that a mapping can hold and that S3 treats as other services do.
"""

from dataclasses import dataclass, field
from hashlib import sha256

import pytest

from broker.core.model import ObjectRef
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import (
    Credentials,
    amz_date,
    canonical_headers,
    canonical_query,
    canonical_request,
    canonical_uri,
    credential_scope,
    signature,
    signed_headers,
    signing_key,
    string_to_sign,
)

S3_ID = "AKIAIOSFODNN7EXAMPLE"
S3_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
S3_HOST = "examplebucket.s3.amazonaws.com"
S3_NOW = 1_369_353_600  # 2013-05-24T00:00:00Z
S3_SCOPE = "20130524/us-east-1/s3/aws4_request"

SUITE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE_HOST = "example.amazonaws.com"
SUITE_DATE = "20150830T123600Z"
SUITE_SCOPE = "20150830/us-east-1/service/aws4_request"

NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
STS_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth"
    "Ax7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAk"
    "iY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)

QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
)
CANONICAL_REQUEST = f"""\
GET
/test.txt
{QUERY}
host:examplebucket.s3.amazonaws.com

host
UNSIGNED-PAYLOAD"""
STRING_TO_SIGN = """\
AWS4-HMAC-SHA256
20130524T000000Z
20130524/us-east-1/s3/aws4_request
3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"""
SIGNATURE = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"


def test_the_published_date() -> None:
    """X-Amz-Date of the published URL is its instant."""
    assert amz_date(S3_NOW) == "20130524T000000Z"


def test_the_published_credential_scope() -> None:
    """The credential scope is the published one."""
    assert credential_scope("20130524", "us-east-1") == S3_SCOPE


def test_the_published_canonical_headers() -> None:
    """The canonical headers and their names are the published ones."""
    headers = {"Host": S3_HOST}

    assert (signed_headers(headers), canonical_headers(headers)) == ("host", f"host:{S3_HOST}\n")


def test_only_blanks_are_trimmed_from_values() -> None:
    """Of a header value blanks are trimmed at its ends and joined inside, and no letter is lost."""
    headers = {"x-a": " \tX a  b X\t ", "Host": "a.example"}

    assert canonical_headers(headers) == "host:a.example\nx-a:X a b X\n"


def test_the_published_canonical_request() -> None:
    """The canonical request is the published one."""
    request = canonical_request("GET", "/test.txt", QUERY, f"host:{S3_HOST}\n", "host")

    assert request == CANONICAL_REQUEST


def test_the_published_string_to_sign() -> None:
    """The string to sign is the published one."""
    assert (
        string_to_sign("20130524T000000Z", S3_SCOPE, sha256(CANONICAL_REQUEST.encode()).hexdigest()) == STRING_TO_SIGN
    )


def test_the_published_signature() -> None:
    """The signature is the published one."""
    assert signature(signing_key(S3_SECRET, "20130524", "us-east-1"), STRING_TO_SIGN) == SIGNATURE


def test_the_published_presigned_url() -> None:
    """The presigned URL is the published one; its bucket is in the host, so its key takes the place of the bucket."""
    presigner = Presigner(Credentials(S3_ID, S3_SECRET), f"https://{S3_HOST}", region="us-east-1")

    url = presigner.presign("GET", ObjectRef("test.txt", ""), now=S3_NOW, expires_in=86_400)

    assert url == f"https://{S3_HOST}/test.txt?{QUERY}&X-Amz-Signature={SIGNATURE}"


@pytest.mark.parametrize(
    ("date", "key"),
    [
        ("20120215", "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"),
        ("20150830", "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"),
    ],
)
def test_the_published_signing_keys(date: str, key: str) -> None:
    """Signing keys are those of the AWS General Reference, "Calculate the signature" among others."""
    assert signing_key(SUITE_SECRET, date, "us-east-1", service="iam").hex() == key


@dataclass(frozen=True)
class S3Example:
    """A worked example with its headers as published, because presigned URLs have no x-amz-content-sha256."""

    method: str
    path: str
    uri: str
    headers: str
    request_hash: str
    signature: str
    query: dict[str, str] = field(default_factory=dict)
    canonical_query: str = ""
    payload: str = NOTHING


COMMON = f"x-amz-content-sha256:{NOTHING}\nx-amz-date:20130524T000000Z\n"
WELCOME = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
S3_EXAMPLES = {
    "GET Object": S3Example(
        "GET",
        "test.txt",
        "/test.txt",
        f"host:{S3_HOST}\nrange:bytes=0-9\n{COMMON}",
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "PUT Object": S3Example(
        "PUT",
        "test$file.text",
        "/test%24file.text",
        f"date:Fri, 24 May 2013 00:00:00 GMT\nhost:{S3_HOST}\nx-amz-content-sha256:{WELCOME}\n"
        "x-amz-date:20130524T000000Z\nx-amz-storage-class:REDUCED_REDUNDANCY\n",
        "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        payload=WELCOME,
    ),
    "GET Bucket Lifecycle": S3Example(
        "GET",
        "",
        "/",
        f"host:{S3_HOST}\n{COMMON}",
        "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        query={"lifecycle": ""},
        canonical_query="lifecycle=",
    ),
    "Get Bucket (List Objects)": S3Example(
        "GET",
        "",
        "/",
        f"host:{S3_HOST}\n{COMMON}",
        "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        query={"prefix": "J", "max-keys": "2"},
        canonical_query="max-keys=2&prefix=J",
    ),
}


@pytest.mark.parametrize("example", S3_EXAMPLES.values(), ids=S3_EXAMPLES.keys())
def test_the_examples_of_the_s3_reference(example: S3Example) -> None:
    """Canonical parts, their hash and the signature of each worked example are the published ones."""
    uri = canonical_uri(ObjectRef(example.path, ""))
    query = canonical_query(example.query)
    names = ";".join(line.partition(":")[0] for line in example.headers.splitlines())
    request = canonical_request(example.method, uri, query, example.headers, names, payload=example.payload)
    text = string_to_sign("20130524T000000Z", S3_SCOPE, sha256(request.encode()).hexdigest())
    key = signing_key(S3_SECRET, "20130524", "us-east-1")

    assert (uri, query) == (example.uri, example.canonical_query)
    assert sha256(request.encode()).hexdigest() == example.request_hash
    assert signature(key, text) == example.signature


@dataclass(frozen=True)
class SuiteCase:
    """One folder of the suite: its .req, its .creq, the hash in its .sts and the signature in its .authz."""

    canonical: str
    request_hash: str
    signature: str
    method: str = "GET"
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def creq(start: str, *headers: str) -> str:
    """Return a .creq: its first lines, then the headers of every case and the given ones, sorted."""
    lines = sorted([f"host:{SUITE_HOST}", f"x-amz-date:{SUITE_DATE}", *headers])
    names = ";".join(line.partition(":")[0] for line in lines)
    return "\n".join([start, *lines, "", names, NOTHING])


SUITE = {
    "get-vanilla": SuiteCase(
        creq("GET\n/\n"),
        "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-unreserved": SuiteCase(
        creq(f"GET\n/{UNRESERVED}\n"),
        "6a968768eefaa713e2a6b16b589a8ea192661f098f37349f4e2c0082757446f9",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        path=UNRESERVED,
    ),
    "get-space": SuiteCase(
        creq("GET\n/example%20space/\n"),
        "63ee75631ed7234ae61b5f736dfc7754cdccfedbff4b5128a915706ee9390d86",
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        path="example space/",
    ),
    "get-vanilla-query-order-key-case": SuiteCase(
        creq("GET\n/\nParam1=value1&Param2=value2"),
        "816cd5b414d056048ba4f7c5386d6e0533120fb1fcfa93762cf0fc39e2cf19e0",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        query={"Param2": "value2", "Param1": "value1"},
    ),
    "get-vanilla-query-unreserved": SuiteCase(
        creq(f"GET\n/\n{UNRESERVED}={UNRESERVED}"),
        "c30d4703d9f799439be92736156d47ccfb2d879ddf56f5befa6d1d6aab979177",
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        query={UNRESERVED: UNRESERVED},
    ),
    "get-vanilla-utf8-query": SuiteCase(
        creq("GET\n/\n%E1%88%B4=bar"),
        "eb30c5bed55734080471a834cc727ae56beb50e5f39d1bff6d0d38cb192a7073",
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        query={"ሴ": "bar"},
    ),
    "get-header-value-trim": SuiteCase(
        creq("GET\n/\n", "my-header1:value1", 'my-header2:"a b c"'),
        "a726db9b0df21c14f559d0a978e563112acb1b9e05476f0a6a1c7d68f28605c7",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        headers={"My-Header1": " value1", "My-Header2": ' "a   b   c"'},
    ),
    "post-header-key-sort": SuiteCase(
        creq("POST\n/\n", "my-header1:value1"),
        "9368318c2967cf6de74404b30c65a91e8f6253e0a8659d6d5319f1a812f87d65",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        method="POST",
        headers={"My-Header1": "value1"},
    ),
    "post-header-value-case": SuiteCase(
        creq("POST\n/\n", "my-header1:VALUE1"),
        "d51ced243e649e3de6ef63afbbdcbca03131a21a7103a1583706a64618606a93",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        method="POST",
        headers={"My-Header1": "VALUE1"},
    ),
    "post-vanilla-query": SuiteCase(
        creq("POST\n/\nParam1=value1"),
        "9d659678c1756bb3113e2ce898845a0a79dbbc57b740555917687f1b3340fbbd",
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        method="POST",
        query={"Param1": "value1"},
    ),
    "post-sts-header-before": SuiteCase(
        creq("POST\n/\n", f"x-amz-security-token:{STS_TOKEN}"),
        "c237e1b440d4c63c32ca95b5b99481081cb7b13c7e40434868e71567c1a882f6",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        method="POST",
        headers={"X-Amz-Security-Token": STS_TOKEN},
    ),
}


@pytest.mark.parametrize("case", SUITE.values(), ids=SUITE.keys())
def test_the_cases_of_the_aws_test_suite(case: SuiteCase) -> None:
    """Canonical request, string to sign and signature of each case are the published ones."""
    headers = {"X-Amz-Date": SUITE_DATE, "Host": SUITE_HOST, **case.headers}
    request = canonical_request(
        case.method,
        canonical_uri(ObjectRef(case.path, "")),
        canonical_query(case.query),
        canonical_headers(headers),
        signed_headers(headers),
        payload=NOTHING,
    )
    text = string_to_sign(SUITE_DATE, SUITE_SCOPE, sha256(request.encode()).hexdigest())
    key = signing_key(SUITE_SECRET, "20150830", "us-east-1", service="service")

    assert request == case.canonical
    assert text == f"AWS4-HMAC-SHA256\n{SUITE_DATE}\n{SUITE_SCOPE}\n{case.request_hash}"
    assert signature(key, text) == case.signature
