"""Rules for the store's endpoint and the public URL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.settings import SettingsError, parse

from .test_settings import ACCOUNT, GOOD, faults, place, warnings


def test_account_id() -> None:
    """The endpoint follows from the account ID."""
    assert place(parse(GOOD)).endpoint == f"https://{ACCOUNT}.r2.cloudflarestorage.com"
    assert parse(GOOD).warnings == ()


@pytest.mark.parametrize("jurisdiction", ["eu", "fedramp", "us"])
def test_jurisdictions(jurisdiction: str) -> None:
    """Each jurisdiction has its own endpoint."""
    found = place(parse({**GOOD, "R2_JURISDICTION": jurisdiction}))
    assert found.endpoint == f"https://{ACCOUNT}.{jurisdiction}.r2.cloudflarestorage.com"


@pytest.mark.parametrize(
    ("endpoint", "rule"),
    [
        ("https://pub.r2.dev", f"use https://{ACCOUNT}.r2.cloudflarestorage.com"),
        ("https://r2.dev", "public reads only"),
        (f"https://{ACCOUNT}.r2.cloudflarestorage.com/songs", "must not have a path"),
        (f"https://songs.{ACCOUNT}.r2.cloudflarestorage.com", "without the bucket's name"),
        ("https://your-account-id.r2.cloudflarestorage.com", "must be of the form"),
        (f"https://{ACCOUNT}.mars.r2.cloudflarestorage.com", "must be of the form"),
        ("ftp://x", "http or https"),
        ("ftp://x:21", "http or https"),
        ("x", "http or https"),
        ("https://", "http or https"),
        ("https://exämple", "http or https"),
        ("https://user@x", "must not have a user"),
        ("https://x?y", "must not have a user"),
        ("https://x:99999", "http or https"),
        ("https://x:0", "http or https"),
        ("https://x:", "http or https"),
        ("https://x:8o80", "http or https"),
        ("https://[::1", "http or https"),
        ("https://[v1.x]", "http or https"),
        ("https://[fe80::1%eth0]", "http or https"),
        ("https://a b", "http or https"),
        ("https://a\nb", "http or https"),
        ("https://a\0b", "http or https"),
        ("https://a\\b", "http or https"),
        ("https://a%2fb", "http or https"),
        ("https://-", "http or https"),
    ],
)
def test_invalid_endpoints(endpoint: str, rule: str) -> None:
    """An endpoint that presigned URLs cannot use is a fault with the rule."""
    (fault,) = faults(R2_ENDPOINT=endpoint)
    assert fault.startswith("R2_ENDPOINT ")
    assert rule in fault


def test_remedy_without_account_id() -> None:
    """Without an account ID the fault names the form of the right endpoint."""
    unknown = {**GOOD, "R2_ACCOUNT_ID": "", "R2_JURISDICTION": "eu", "R2_ENDPOINT": "https://pub.r2.dev"}
    with pytest.raises(SettingsError, match=r"use https://<account-id>\.eu\.r2\.cloudflarestorage\.com"):
        parse(unknown)


@pytest.mark.parametrize(
    ("given_as", "sent_as"),
    [
        (f"HTTPS://{ACCOUNT.upper()}.R2.cloudflarestorage.com/", f"https://{ACCOUNT}.r2.cloudflarestorage.com"),
        (f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com:443", f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:0443", "http://127.0.0.1:443"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
    ],
)
def test_normalized_endpoint(given_as: str, sent_as: str) -> None:
    """The endpoint is normalized like the Host field that clients send, because a signature covers it."""
    assert place(parse({**GOOD, "R2_ENDPOINT": given_as})).endpoint == sent_as
    assert warnings(R2_ENDPOINT=given_as) == []


OTHER = "fedcba9876543210fedcba9876543210"
ACCOUNTS = "R2_ENDPOINT and R2_ACCOUNT_ID must be of the same account. Correct one, or unset R2_ACCOUNT_ID"
JURISDICTIONS = (
    "R2_ENDPOINT and R2_JURISDICTION must be of the same jurisdiction. Correct one, or unset R2_JURISDICTION"
)


def r2(account: str, jurisdiction: str = "", scheme: str = "https") -> str:
    """Return the endpoint of an account."""
    return f"{scheme}://{account}.{jurisdiction and jurisdiction + '.'}r2.cloudflarestorage.com"


CONTRADICTIONS = {
    "another account": ({"R2_ENDPOINT": r2(OTHER)}, [ACCOUNTS]),
    "another account over http": ({"R2_ENDPOINT": r2(OTHER, scheme="http")}, [ACCOUNTS]),
    "another account in a jurisdiction": ({"R2_ENDPOINT": r2(OTHER, "eu")}, [ACCOUNTS]),
    "default and eu": ({"R2_ENDPOINT": r2(ACCOUNT), "R2_JURISDICTION": "eu"}, [JURISDICTIONS]),
    "eu and default": ({"R2_ENDPOINT": r2(ACCOUNT, "eu"), "R2_JURISDICTION": "default"}, [JURISDICTIONS]),
    "eu and fedramp": ({"R2_ENDPOINT": r2(ACCOUNT, "eu"), "R2_JURISDICTION": "fedramp"}, [JURISDICTIONS]),
    "both": ({"R2_ENDPOINT": r2(OTHER, "us"), "R2_JURISDICTION": "eu"}, [ACCOUNTS, JURISDICTIONS]),
    "without account": (
        {"R2_ENDPOINT": r2(OTHER), "R2_JURISDICTION": "eu", "R2_ACCOUNT_ID": ""},
        [JURISDICTIONS],
    ),
}


@pytest.mark.parametrize(("changes", "expected"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_contradictions(changes: dict[str, str], expected: list[str]) -> None:
    """An endpoint of R2 with another account or jurisdiction than the settings name is a fault that names both."""
    assert faults(**changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"R2_ENDPOINT": r2(ACCOUNT)},
        {"R2_ENDPOINT": r2(ACCOUNT), "R2_JURISDICTION": "default"},
        {"R2_ENDPOINT": r2(ACCOUNT, "eu"), "R2_JURISDICTION": "eu"},
        {"R2_ENDPOINT": r2(ACCOUNT, "eu")},
        {"R2_ENDPOINT": r2(OTHER, "eu"), "R2_ACCOUNT_ID": "", "R2_JURISDICTION": "eu"},
        {"R2_ENDPOINT": r2(ACCOUNT.upper(), "eu") + ":443/"},
        {"R2_ENDPOINT": "http://127.0.0.1:8333", "R2_JURISDICTION": "eu"},
        {"R2_ENDPOINT": "https://s3.eu-central-1.amazonaws.com"},
    ],
    ids=str,
)
def test_no_contradictions(changes: dict[str, str]) -> None:
    """Settings that agree are accepted; an endpoint of another store replaces account and jurisdiction."""
    found = place(parse({**GOOD, **changes})).endpoint
    assert found == changes["R2_ENDPOINT"].lower().removesuffix(":443/")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8333", "http://localhost:9", "http://[::1]:9", "https://[::1]"])
def test_loopback_endpoints(endpoint: str) -> None:
    """An endpoint on this machine causes no warning."""
    assert warnings(R2_ENDPOINT=endpoint) == []


def test_doubtful_endpoints() -> None:
    """Plain http to another machine is a warning."""
    assert warnings(R2_ENDPOINT="https://media.example.com") == []
    assert ["unencrypted" in line for line in warnings(R2_ENDPOINT="http://store:9000")] == [True]


@pytest.mark.parametrize(
    "url", ["cdn.example", "https://a b", "https://u@cdn.example", "https://cdn.example?x", "ws://x"]
)
def test_rules_for_public_url(url: str) -> None:
    """The public URL is a plain http or https URL."""
    (fault,) = faults(R2_PUBLIC_URL=url, R2_STAGING_BUCKET_NAME="inbox")
    assert fault.startswith("R2_PUBLIC_URL must ")


def test_public_url_with_path() -> None:
    """A public URL may have a path."""
    found = parse({**GOOD, "R2_PUBLIC_URL": "https://CDN.example:443/Files/", "R2_STAGING_BUCKET_NAME": "inbox"})
    assert place(found).public_url == "https://cdn.example/Files"
    assert found.warnings == ()


def test_public_url_is_not_the_endpoint() -> None:
    """The S3 endpoint of R2, which serves no unsigned request, is a fault as public URL; r2.dev is not."""
    for url in (r2(ACCOUNT), f"{r2(ACCOUNT, 'eu')}/songs"):
        (fault,) = faults(R2_PUBLIC_URL=url, R2_STAGING_BUCKET_NAME="inbox")
        assert fault.startswith("R2_PUBLIC_URL must be a public address")
    assert warnings(R2_PUBLIC_URL="https://pub-1.r2.dev", R2_STAGING_BUCKET_NAME="inbox") == []


hosts = st.from_regex(r"[a-z0-9._-]{1,20}(:[0-9]{0,6})?|\[[0-9a-f:.]{0,12}\](:[0-9]{0,6})?", fullmatch=True)


@given(hosts | st.text(max_size=30))
def test_accepted_endpoints_can_sign(host: str) -> None:
    """Every accepted endpoint is accepted by the presigner and does not change when parsed again."""
    try:
        endpoint = place(parse({**GOOD, "R2_ENDPOINT": f"https://{host}"})).endpoint
    except SettingsError:
        return
    Presigner(Credentials("AKID", "secret"), endpoint)
    assert place(parse({**GOOD, "R2_ENDPOINT": endpoint})).endpoint == endpoint
