"""Settings from environment variables: values, faults and warnings."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from broker import settings
from broker.core.download_rules import DownloadAccess
from broker.core.media import ALL_TYPES
from broker.core.model import Evidence
from broker.settings import Settings, SettingsError, parse
from broker.settings.token_rules import JwksLocation

ACCOUNT = "0123456789abcdef0123456789abcdef"
SECRET = "a secret of the settings' tests, long enough"
STORE = {
    "R2_ACCOUNT_ID": ACCOUNT,
    "R2_ACCESS_KEY_ID": "AKID",
    "R2_SECRET_ACCESS_KEY": "the secret access key",
    "R2_BUCKET_NAME": "songs",
}
GOOD = {**STORE, "JWT_SECRET": SECRET, "BROKER_SECRET": "the broker's own secret of 32 characters"}


class Recording(Mapping[str, str]):
    """An empty environment that records the names that are read."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def names() -> set[str]:
    """Return every name that is read, including the names of secret files."""
    environment = Recording()
    with contextlib.suppress(SettingsError):
        parse(environment)
    return environment.names


def faults(**changes: str) -> list[str]:
    """Return the faults of valid settings with ``changes``."""
    with pytest.raises(SettingsError) as refused:
        parse({**GOOD, **changes})
    return list(refused.value.faults)


def warnings(**changes: str) -> list[str]:
    """Return the warnings of valid settings with ``changes``."""
    return list(parse({**GOOD, **changes}).warnings)


def place(found: Settings) -> settings.StoreSettings:
    """Return the store of settings that have one."""
    assert found.store
    return found.store


def test_default_staging() -> None:
    """By default staged objects use the bucket and credentials of ready objects."""
    found = place(parse(GOOD))
    assert (found.staging_bucket, found.staging_credentials, found.public_url) == ("songs", found.credentials, None)


def test_own_staging() -> None:
    """Staged objects may have their own bucket and credentials."""
    found = place(
        parse(
            {
                **GOOD,
                "R2_STAGING_BUCKET_NAME": "inbox",
                "R2_STAGING_ACCESS_KEY_ID": "AKSTAGING",
                "R2_STAGING_SECRET_ACCESS_KEY": "another",
            }
        )
    )
    assert (found.staging_bucket, found.staging_credentials.access_key_id) == ("inbox", "AKSTAGING")


@pytest.mark.parametrize("name", STORE)
def test_missing_store_settings(name: str) -> None:
    """A missing setting of the store is a warning that names it, not a fault."""
    found = parse({key: value for key, value in GOOD.items() if key not in (name, "BROKER_SECRET")})
    assert found.store is None
    assert found.secrets == ()
    assert len(found.missing) == len(found.warnings) == 1
    assert name in found.missing[0]
    assert found.missing[0] in found.warnings[0]


def test_public_staging_is_a_warning() -> None:
    """A public bucket that is also the staging bucket is a warning."""
    public = {"R2_PUBLIC_URL": "https://cdn.example/files/"}
    assert len(warnings(**public)) == 1
    assert len(warnings(**public, R2_STAGING_BUCKET_NAME="songs")) == 1
    assert warnings(**public, R2_STAGING_BUCKET_NAME="inbox") == []
    assert place(parse({**GOOD, **public})).public_url == "https://cdn.example/files"


def test_all_faults_at_once() -> None:
    """All faults are reported together, each with its variable."""
    wrong = {
        "R2_ACCOUNT_ID": "x",
        "R2_JURISDICTION": "mars",
        "R2_BUCKET_NAME": "UPPER",
        "R2_STAGING_BUCKET_NAME": "a",
        "R2_STAGING_ACCESS_KEY_ID": "alone",
        "R2_PUBLIC_URL": "x",
        "R2_CONCURRENCY": "3",
        "JWT_SECRET": "short",
        "JWT_LEEWAY": "1h",
        "BROKER_SECRET": "short",
        "BROKER_CORS_ORIGINS": "https://ok.example, https://no.example/",
        "BROKER_METRICS_PORT": "metrics",
        "UPLOAD_MAX_BYTES": "5TiB",
        "UPLOAD_URL_LIFETIME": "soon",
        "DOWNLOAD_ACCESS": "all",
        "DOWNLOAD_URL_WINDOW": "-1",
    }
    found = faults(**wrong)
    assert {fault.split(" ")[0] for fault in found} == set(wrong)
    assert len(found) == len(wrong)


def test_t05_one_family_of_keys() -> None:
    """Exactly one kind of verification key is set, and its algorithms are of its family."""
    assert "one family" in faults(JWT_PUBLIC_KEY="-----BEGIN PUBLIC KEY-----")[0]
    assert "one family" in faults(JWT_JWKS_URL="https://id.example/keys")[0]
    assert "JWT_JWKS_URL must be set" in faults(JWT_SECRET="")[0]
    assert len(faults(JWT_ALGORITHMS="HS256,RS256")) == 1
    assert parse({**GOOD, "JWT_ALGORITHMS": "HS256"}).tokens.key.algorithms == ("HS256",)
    assert len(faults(JWT_SECRET="", JWT_JWKS_URL="https://id.example/keys", JWT_ALGORITHMS="HS256")) == 1


def test_previous_secret() -> None:
    """The former shared secret stands beside the present one only, and obeys the same rules and algorithms."""
    previous = "a former secret of the tests, which is long enough for every algorithm of HMAC"
    tokens = parse({**GOOD, "JWT_SECRET_PREVIOUS": previous, "JWT_ALGORITHMS": "HS256"}).tokens
    assert tokens.previous_key
    assert (tokens.previous_key.material, tokens.previous_key.algorithms) == (previous.encode(), ("HS256",))
    assert faults(JWT_SECRET_PREVIOUS="short")[0].startswith("JWT_SECRET_PREVIOUS must have")
    url = {"JWT_SECRET": "", "JWT_JWKS_URL": "https://id.example/keys"}
    (fault,) = faults(**url, JWT_SECRET_PREVIOUS=previous)
    assert fault == "JWT_SECRET_PREVIOUS must be set together with JWT_SECRET only"


def test_jwks_location() -> None:
    """The location of a JWK Set has its normalized URL, algorithms and maximum age."""
    found = parse(
        {
            **STORE,
            "JWT_JWKS_URL": "https://ID.example:443/realms/one/keys",
            "JWT_ALGORITHMS": "ES256,EdDSA",
            "JWT_JWKS_MAX_STALE": "2h",
        }
    )
    assert found.tokens.key == JwksLocation("https://id.example/realms/one/keys", ("ES256", "EdDSA"), 7200)


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/keys",
        "file:///etc/passwd",
        "ftp://id.example/keys",
        "data:application/json,{}",
        "https://user:pw@id.example/keys",
        "https://user:pw@id.example/keys?appid=1",
        "https://user@id.example/keys",
        "https://id.example/keys#one",
        "https://id.example/keys?appid=1#one",
        "http://id.example/keys?appid=1",
        "http://127.0.0.1.example/keys",
        "https://id.example/keys?app id=1",
        "https://id.example/keys?app\nid=1",
        "https://id.example/keys?appid=é",
        "https://?appid=1",
        "?appid=1",
        "id.example/keys",
    ],
)
def test_k11_jwks_url_must_be_https(url: str) -> None:
    """The URL of the JWK Set is https without user and fragment, and a fault does not print it."""
    (fault,) = faults(JWT_SECRET="", JWT_JWKS_URL=url)
    assert fault.startswith("JWT_JWKS_URL must ")
    assert "pw" not in fault


QUERIES = {
    "https://ID.example:443/common/discovery/keys?appid=6731de76": "https://id.example/common/discovery/keys?appid=6731de76",
    "https://id.example/t.onmicrosoft.com/discovery/v2.0/keys?p=B2C_1_in": (
        "https://id.example/t.onmicrosoft.com/discovery/v2.0/keys?p=B2C_1_in"
    ),
    "https://id.example?a=1&b=%20?/x": "https://id.example/?a=1&b=%20?/x",
    "https://id.example/keys?": "https://id.example/keys",
    "https://id.example/jwk/securetoken@system.example": "https://id.example/jwk/securetoken@system.example",
    "http://127.0.0.1:8080/keys?p=1": "http://127.0.0.1:8080/keys?p=1",
}


@pytest.mark.parametrize("url", QUERIES)
def test_e06_jwks_url_with_query(url: str) -> None:
    """The URL of the JWK Set may have a query, which is kept as it is."""
    assert parse({**STORE, "JWT_JWKS_URL": url}).tokens.key == JwksLocation(QUERIES[url])


def test_scope_claim() -> None:
    """The claim with the scopes is configured, and unset by default."""
    assert parse(GOOD).tokens.scope_claim is None
    assert parse({**GOOD, "BROKER_SCOPE_CLAIM": "roles"}).tokens.scope_claim == "roles"


def test_k11_plain_http_on_loopback() -> None:
    """The URL of the JWK Set may be plain http on this machine."""
    assert parse({**STORE, "JWT_JWKS_URL": "http://127.0.0.1:8080/keys"}).tokens.key == JwksLocation(
        "http://127.0.0.1:8080/keys"
    )


def test_public_key_file(tmp_path: Path) -> None:
    """The public key may come from a file."""
    file = tmp_path / "key.json"
    file.write_text('{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}\n')
    found = parse({**STORE, "JWT_PUBLIC_KEY_FILE": str(file)})
    assert found.tokens.key.algorithms == ("EdDSA",)


def test_token_rules() -> None:
    """The rules for tokens are read from the environment."""
    rules = parse(
        {**GOOD, "JWT_ISSUER": "me", "JWT_AUDIENCE": "us", "JWT_SUBJECT_CLAIM": "id", "JWT_TYPE": "at+jwt"}
    ).tokens
    assert (rules.issuer, rules.audience, rules.subject_claim, rules.typ) == ("me", "us", "id", "at+jwt")


def test_secrets() -> None:
    """Several secrets may be set; an unset secret is derived from the R2 secret, with a warning."""
    one, two = "9f2c1e7ab34d58f0617c2a9be8d4035f", "4b8e0d73c6fa1952e7380b6d9c54af21"
    assert parse({**GOOD, "BROKER_SECRET": f"{one}, {two}"}).secrets == (one.encode(), two.encode())
    derived = parse({**GOOD, "BROKER_SECRET": ""})
    assert derived.secrets == (b"the secret access key",)
    assert [warning for warning in derived.warnings if "rolling the R2 token ends" in warning]


def test_long_lifetimes_are_a_warning() -> None:
    """A lifetime beyond the shipped lifecycle rules is a warning with the needed days."""
    assert warnings(UPLOAD_LIFETIME="1d") == []
    (warning,) = warnings(UPLOAD_LIFETIME="2d")
    assert "at least 5 days" in warning


def test_sha256_evidence() -> None:
    """The evidence for checksums is "upload" or "store", by default "upload"."""
    assert parse(GOOD).sha256_evidence is Evidence.UPLOAD
    assert parse({**GOOD, "SHA256_EVIDENCE": "store"}).sha256_evidence is Evidence.STORE
    assert faults(SHA256_EVIDENCE="none") == ["SHA256_EVIDENCE must be one of store, upload"]


def test_media_types() -> None:
    """The accepted media types are all, or those of a list of names and kinds; a fault lists the valid ones."""
    assert parse(GOOD).uploads.types == ALL_TYPES
    assert parse({**GOOD, "UPLOAD_TYPES": "image/PNG, audio/mp3,"}).uploads.types == {"image/png", "audio/mpeg"}
    assert parse({**GOOD, "UPLOAD_TYPES": "audio/*,video/*,image/*"}).uploads.types == ALL_TYPES
    for value in ("text/*", "audio", "image/heic", "audio/mpeg, image/x", "*"):
        (fault,) = faults(UPLOAD_TYPES=value)
        assert fault.startswith("UPLOAD_TYPES must be a list of: audio/*, video/*, image/*, audio/mpeg, audio/wav,")


def test_settings_of_upload_clients() -> None:
    """The settings for Uppy and better-upload's client are off by default, and wrong values are faults."""
    plain = parse(GOOD)
    assert (plain.public_url, plain.session_lifetime, plain.upload_routes) == (None, 900, ())
    given = {"BROKER_PUBLIC_URL": "https://broker.example/", "UPLOAD_ROUTES": "tracks, a-b_1"}
    found = parse({**GOOD, **given, "UPLOAD_ALLOW_UNSIZED": "on"})
    assert (found.public_url, found.upload_routes) == ("https://broker.example", ("tracks", "a-b_1"))
    assert (plain.uploads.allows_unsized, found.uploads.allows_unsized) == (False, True)
    for wrong in ({"UPLOAD_ROUTES": "a/b"}, {"UPLOAD_ALLOW_UNSIZED": "yes"}, {"BROKER_PUBLIC_URL": "broker.example"}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            parse({**GOOD, **wrong})


def test_units() -> None:
    """Limits and lifetimes are read with their units."""
    found = parse(
        {
            **GOOD,
            "UPLOAD_MAX_BYTES": "64 MiB",
            "UPLOAD_URL_LIFETIME": "2h",
            "DOWNLOAD_ACCESS": "owner",
            "DOWNLOAD_URL_LIFETIME": "90",
            "DOWNLOAD_URL_WINDOW": "0",
        }
    )
    assert (found.uploads.max_bytes, found.uploads.url_lifetime, found.uploads.lifetime) == (64 * 2**20, 7200, 86_400)
    assert (found.downloads.access, found.downloads.url_lifetime, found.downloads.window) == (
        DownloadAccess.OWNER,
        90,
        0,
    )


def test_from_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``from_environment`` parses the environment of the process."""
    monkeypatch.setattr("os.environ", dict(GOOD))  # pytest adds variables of its own
    assert settings.from_environment() == parse(GOOD)


def test_l12_repr_hides_secrets() -> None:
    """The ``repr`` of settings contains no secret."""
    text = repr(parse({**GOOD, "BROKER_SECRET": "a canary that has to be long enough to pass"}))
    for secret in (SECRET, "the secret access key", "canary"):
        assert secret not in text


@pytest.mark.parametrize("name", sorted(names()))
def test_empty_values_are_unset(name: str) -> None:
    """An empty or blank value has the same result as an unset variable."""
    without = {key: value for key, value in GOOD.items() if key != name}
    outcomes: list[object] = []
    for variables in (without, {**without, name: ""}, {**without, name: " \t"}):
        try:
            outcomes.append(parse(variables))
        except SettingsError as error:
            outcomes.append(error.faults)
    assert outcomes == [outcomes[0]] * 3


@pytest.mark.parametrize(
    ("name", "others"),
    [("JWT_SECRET", STORE), ("JWT_PUBLIC_KEY", STORE), ("R2_SECRET_ACCESS_KEY", GOOD), ("BROKER_SECRET", GOOD)],
)
def test_unreadable_secret_file(name: str, others: dict[str, str]) -> None:
    """An unreadable file of a secret is one fault; the secret is not also reported as missing."""
    with pytest.raises(SettingsError) as refused:
        parse({**others, name: "", f"{name}_FILE": "/nowhere"})
    assert refused.value.faults == (f"{name}_FILE must name a readable file of UTF-8 text",)


@pytest.mark.parametrize("name", sorted(names()))
def test_invalid_utf_8(name: str) -> None:
    """A value with bytes that are not UTF-8 is a fault; ``os.environ`` holds them as lone surrogates."""
    assert f"{name} must be UTF-8 text" in faults(**{name: "caf\udce9" * 10})


CANARY = "canary"
anything = st.text(st.characters(exclude_categories=()), max_size=60)
likely = st.sampled_from(
    [
        "1",
        "0",
        "15m",
        "64MiB",
        "owner",
        "eu",
        "*",
        "HS256",
        ACCOUNT,
        SECRET,
        "a" * 40,
        "songs",
        "https://a.example",
        "/",
    ]
) | st.from_regex(r"https?://[a-z0-9.:\[\]@/-]{0,40}", fullmatch=True)
named = st.sampled_from(sorted(names()))


@given(st.dictionaries(named, anything | likely))
@example({**GOOD, "BROKER_SECRET": "\udcff" * 32})
@hypothesis_settings(max_examples=300)
def test_any_environment(variables: dict[str, str]) -> None:
    """Any environment is parsed or refused with faults, without an exception context to print."""
    try:
        parse(variables)
    except SettingsError as error:
        assert error.faults
        assert str(error) == "; ".join(error.faults)
        assert error.__context__ is None  # a traceback would print it


@given(st.booleans(), st.dictionaries(named, st.builds(lambda a, b: a + CANARY + b, anything | likely, anything)))
@hypothesis_settings(max_examples=300)
def test_values_are_never_printed(is_set_up: bool, variables: dict[str, str]) -> None:
    """No fault and no warning contains a value of the environment."""
    try:
        found = parse({**GOOD, **variables} if is_set_up else variables)
    except SettingsError as error:
        assert CANARY not in str(error)
    else:
        assert CANARY not in " ".join(found.warnings)
