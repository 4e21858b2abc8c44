"""Key sets and tokens in the form of well-known identity services, with keys of this test.

Each row has a set as the service publishes it, the settings that its page of documentation leads to, and a token as the
service issues it. The other keys of the set, and keys outside of it, must not verify the token.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from broker import settings
from broker.auth.bearer import TokenVerifier
from broker.auth.jwks_client import JwksClient
from broker.core.model import Principal
from broker.errors import UnauthenticatedError
from broker.settings.token_rules import JwksLocation
from tests.store.wire import answer, says, wire

from .minting import NOW, PrivateKey, b64, bearer, document
from .minting import jwk as plain_jwk

RSA, RSA_2, RSA_3, FOREIGN_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(4))
P256, P256_2, FOREIGN_P256 = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
CERTIFICATE = {"x5t": b64(b"t" * 20), "x5t#S256": b64(b"t" * 32), "x5c": ["MIIC/zCCAeegAwIBAgIJ+w=="]}
TIMES = {"iat": NOW - 60, "exp": NOW + 3540}
SERVICE = Principal("svc", is_service=True)


@dataclass(frozen=True)
class Provider:
    """One identity service: its set of keys, the settings for it, and a token that it issues."""

    keys: list[Any]
    claims: Mapping[str, Any]
    expected: Principal
    header: Mapping[str, Any]
    signer: PrivateKey = RSA
    others: tuple[PrivateKey, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    skipped: int = 0
    path: str = "/.well-known/jwks.json"
    media_type: str = "application/json"

    def settings(self, port: int) -> settings.Settings:
        """Return the settings with the keys on this machine."""
        return settings.parse({"JWT_JWKS_URL": f"http://127.0.0.1:{port}{self.path}", **self.rules})

    def token(self, key: PrivateKey | None = None, **claims: Any) -> str:
        """Return a token of the service, or one that another key signed."""
        header = {"typ": "JWT", **self.header}
        payload = {**TIMES, **self.claims, **claims}
        return jwt.PyJWS().encode(json.dumps(payload).encode(), key or self.signer, header["alg"], header)


def jwk(key: PrivateKey, kid: str | None = None, **members: Any) -> dict[str, Any]:
    """Return a JWK with exactly these members beside those of its key."""
    found = plain_jwk(key)
    numbers: dict[str, Any] = {name: found[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in found}
    return {**numbers, **({"kid": kid} if kid else {}), **members}


def signing(key: PrivateKey, kid: str, **members: Any) -> dict[str, Any]:
    """Return a JWK for RS256 signatures."""
    return jwk(key, kid, use="sig", alg="RS256", **members)


AUTH0_CLAIMS = {
    "iss": "https://tenant.example/",
    "aud": ["https://broker.example/api", "https://tenant.example/userinfo"],
    "azp": "q4xYJ2tQ",
    "scope": "openid profile email",
}
AUTH0 = {"JWT_ISSUER": "https://tenant.example/", "JWT_AUDIENCE": "https://broker.example/api"}
AUTH0_KEYS = [signing(RSA, "qBV1hL8b", **CERTIFICATE), signing(RSA_2, "n0xtS1gn", **CERTIFICATE)]

ENTRA_ISSUER = "https://login.microsoftonline.example/7a8b/v2.0"
ENTRA_KEYS = [
    jwk(key, kid, use="sig", x5t=kid, x5c=CERTIFICATE["x5c"], issuer=ENTRA_ISSUER, cloud_instance_name="example")
    for key, kid in ((RSA_2, "X5eXk4xyojNFum1kl2Ytv8dlNP4-c57dO6QGTVBwaNk"), (RSA, "kWbkha6qs8wsTnBwiNYOhHbnAw"))
]
ENTRA_HEADER = {"alg": "RS256", "kid": "kWbkha6qs8wsTnBwiNYOhHbnAw", "x5t": "kWbkha6qs8wsTnBwiNYOhHbnAw"}
ENTRA = {
    "aio": "AXQAi",
    "azp": "c0ffee",
    "azpacr": "1",
    "nbf": NOW - 60,
    "oid": "1bad-0001",
    "rh": "0.A",
    "tid": "7a8b",
    "uti": "u",
    "ver": "2.0",
}

KEYCLOAK_ISSUER = "https://sso.example/realms/music"
KEYCLOAK_CLAIMS = {
    "jti": "trrtcc:1",
    "iss": KEYCLOAK_ISSUER,
    "aud": ["broker", "account"],
    "sub": "f:8d1c:ann",
    "typ": "Bearer",
    "azp": "web",
    "sid": "s1",
    "acr": "1",
    "allowed-origins": ["https://app.example"],
    "realm_access": {"roles": ["offline_access", "uma_authorization"]},
    "resource_access": {"account": {"roles": ["manage-account"]}},
    "scope": "profile email",
    "email_verified": True,
}
KEYCLOAK_ENC = jwk(RSA_2, "enc-1", use="enc", alg="RSA-OAEP", **CERTIFICATE)

COGNITO_ISSUER = "https://cognito-idp.eu-west-1.amazonaws.example/eu-west-1_Pool"
COGNITO_KEYS = [signing(RSA_2, "1tQe9yM="), signing(RSA, "V7bnSzR2oKw=")]
COGNITO_CLAIMS = {
    "sub": "aaaaaaaa-bbbb",
    "iss": COGNITO_ISSUER,
    "client_id": "7k2m",
    "origin_jti": "o",
    "event_id": "e",
    "token_use": "access",
    "scope": "aws.cognito.signin.user.admin",
    "auth_time": NOW - 60,
    "jti": "j",
    "username": "ann",
}

FIREBASE_ISSUER = "https://securetoken.google.example/music"
SUPABASE_ISSUER = "https://ref.supabase.example/auth/v1"
SUPABASE_CLAIMS = {
    "iss": SUPABASE_ISSUER,
    "sub": "user-1",
    "aud": "authenticated",
    "email": "ann@example.org",
    "phone": "",
    "app_metadata": {"provider": "email", "providers": ["email"]},
    "user_metadata": {"role": "broker:service", "realm_access": {"roles": ["broker:service"]}},
    "role": "authenticated",
    "aal": "aal1",
    "amr": [{"method": "password", "timestamp": NOW}],
    "session_id": "s",
    "is_anonymous": False,
}

PROVIDERS = {
    "Auth0": Provider(
        AUTH0_KEYS,
        {**AUTH0_CLAIMS, "sub": "auth0|5f7c8ec7"},
        Principal("auth0|5f7c8ec7"),
        {"alg": "RS256", "kid": "qBV1hL8b"},
        others=(RSA_2,),
        rules=AUTH0,
        media_type="application/json; charset=utf-8",
    ),
    "Auth0, a service by its permissions": Provider(
        AUTH0_KEYS,
        {**AUTH0_CLAIMS, "sub": "svc", "gty": "client-credentials", "permissions": ["broker:service"]},
        SERVICE,
        {"alg": "RS256", "kid": "qBV1hL8b", "typ": "at+jwt"},
        others=(RSA_2,),
        rules={**AUTH0, "BROKER_SCOPE_CLAIM": "permissions", "JWT_TYPE": "at+jwt"},
    ),
    "Auth0, roles in a namespace": Provider(
        AUTH0_KEYS,
        {**AUTH0_CLAIMS, "sub": "svc", "https://example.com/roles": ["admin", "broker:service"]},
        SERVICE,
        {"alg": "RS256", "kid": "qBV1hL8b"},
        rules={**AUTH0, "BROKER_SCOPE_CLAIM": "https://example.com/roles"},
    ),
    "Entra ID, version 2": Provider(
        ENTRA_KEYS,
        {**ENTRA, "iss": ENTRA_ISSUER, "aud": "c0ffee", "sub": "AAAA-pairwise", "scp": "Files.Read User.Read"},
        Principal("AAAA-pairwise"),
        ENTRA_HEADER,
        others=(RSA_2,),
        rules={"JWT_ISSUER": ENTRA_ISSUER, "JWT_AUDIENCE": "c0ffee"},
        path="/7a8b/discovery/v2.0/keys?appid=6731de76-14a6-49ae-97bc-6eba6914391e",
    ),
    "Entra ID, a service by its scp": Provider(
        ENTRA_KEYS,
        {**ENTRA, "iss": ENTRA_ISSUER, "aud": "c0ffee", "sub": "svc", "scp": "Files.Read broker:service"},
        SERVICE,
        ENTRA_HEADER,
        rules={"JWT_ISSUER": ENTRA_ISSUER, "JWT_AUDIENCE": "c0ffee"},
    ),
    "Entra ID, version 1, a service by its roles": Provider(
        ENTRA_KEYS,
        {**ENTRA, "iss": "https://sts.example/7a8b/", "aud": "api://broker", "oid": "svc", "sub": "x", "ver": "1.0"}
        | {"appid": "c0ffee", "appidacr": "1", "idp": "https://sts.example/7a8b/", "roles": ["broker:service"]},
        SERVICE,
        ENTRA_HEADER,
        rules={"JWT_ISSUER": "https://sts.example/7a8b/", "JWT_AUDIENCE": "api://broker"}
        | {"JWT_SUBJECT_CLAIM": "oid", "BROKER_SCOPE_CLAIM": "roles"},
    ),
    "Azure AD B2C": Provider(
        [{"kid": "B2C-1", "use": "sig", "nbf": NOW - 10**6, **jwk(RSA)}],
        {"iss": "https://t.b2clogin.example/7a8b/v2.0/", "aud": "c1", "sub": "u1", "tfp": "B2C_1_in", "nonce": "n"}
        | {"ver": "1.0", "nbf": NOW - 60, "auth_time": NOW - 60, "acr": None},
        Principal("u1"),
        {"alg": "RS256", "kid": "B2C-1"},
        rules={"JWT_AUDIENCE": "c1"},
        path="/t.onmicrosoft.com/discovery/v2.0/keys?p=B2C_1_in",
    ),
    "Keycloak": Provider(
        [KEYCLOAK_ENC, signing(RSA, "sig-1", **CERTIFICATE)],
        KEYCLOAK_CLAIMS,
        Principal("f:8d1c:ann"),
        {"alg": "RS256", "kid": "sig-1"},
        others=(RSA_2,),
        rules={"JWT_ISSUER": KEYCLOAK_ISSUER, "JWT_AUDIENCE": "broker"},
        skipped=1,
    ),
    "Keycloak, a key for encryption with the same kid": Provider(
        [{**KEYCLOAK_ENC, "kid": "sig-1"}, signing(RSA, "sig-1", **CERTIFICATE)],
        KEYCLOAK_CLAIMS,
        Principal("f:8d1c:ann"),
        {"alg": "RS256", "kid": "sig-1"},
        others=(RSA_2,),
        skipped=1,
    ),
    "Keycloak, a service by its realm role": Provider(
        [signing(RSA, "sig-1"), KEYCLOAK_ENC, jwk(P256, "ec-1", use="sig", alg="ES256")],
        {**KEYCLOAK_CLAIMS, "sub": "svc", "realm_access": {"roles": ["default-roles", "broker:service"]}},
        SERVICE,
        {"alg": "RS256", "kid": "sig-1"},
        rules={"BROKER_SCOPE_CLAIM": "realm_access.roles"},
        skipped=1,
    ),
    "Keycloak, a service by its client role": Provider(
        [signing(RSA, "sig-1"), KEYCLOAK_ENC],
        {**KEYCLOAK_CLAIMS, "sub": "svc", "resource_access": {"broker-api": {"roles": ["broker:service"]}}},
        SERVICE,
        {"alg": "RS256", "kid": "sig-1"},
        rules={"BROKER_SCOPE_CLAIM": "resource_access.broker-api.roles"},
        skipped=1,
    ),
    "Cognito": Provider(
        COGNITO_KEYS,
        COGNITO_CLAIMS,
        Principal("aaaaaaaa-bbbb"),
        {"alg": "RS256", "kid": "V7bnSzR2oKw="},
        others=(RSA_2,),
        rules={"JWT_ISSUER": COGNITO_ISSUER},
    ),
    "Cognito, a service by its group": Provider(
        COGNITO_KEYS,
        {**COGNITO_CLAIMS, "sub": "svc", "cognito:groups": ["broker:service"]},
        SERVICE,
        {"alg": "RS256", "kid": "V7bnSzR2oKw="},
        rules={"JWT_ISSUER": COGNITO_ISSUER, "BROKER_SCOPE_CLAIM": "cognito:groups"},
    ),
    "Okta": Provider(
        [signing(RSA, "tz_Xl2fL")],
        {"ver": 1, "jti": "AT.x", "iss": "https://dev.okta.example/oauth2/default", "aud": "api://default"}
        | {"cid": "0oa1", "uid": "00u1", "scp": ["openid", "profile"], "auth_time": NOW, "sub": "ann@example.org"},
        Principal("00u1"),
        {"alg": "RS256", "kid": "tz_Xl2fL", "typ": None},
        rules={"JWT_AUDIENCE": "api://default", "JWT_SUBJECT_CLAIM": "uid"},
    ),
    "Okta, a service by its scp": Provider(
        [signing(RSA, "tz_Xl2fL")],
        {"ver": 1, "iss": "https://dev.okta.example/oauth2/default", "aud": "api://default"}
        | {"cid": "svc", "scp": ["broker:service"], "sub": "svc"},
        SERVICE,
        {"alg": "RS256", "kid": "tz_Xl2fL", "typ": "application/okta-internal-at+jwt"},
        rules={"JWT_AUDIENCE": "api://default"},
    ),
    "Firebase": Provider(
        [signing(RSA_2, "b4b3"), signing(RSA, "f2a1")],
        {"iss": FIREBASE_ISSUER, "aud": "music", "auth_time": NOW - 60, "user_id": "uid1", "sub": "uid1"}
        | {"name": "Ann", "firebase": {"identities": {"email": ["ann@example.org"]}, "sign_in_provider": "password"}},
        Principal("uid1"),
        {"alg": "RS256", "kid": "f2a1"},
        others=(RSA_2,),
        rules={"JWT_ISSUER": FIREBASE_ISSUER, "JWT_AUDIENCE": "music"},
        path="/service_accounts/v1/jwk/securetoken@system.example",
    ),
    "Supabase": Provider(
        [
            jwk(P256, "5a1c", alg="ES256", use="sig", key_ops=["verify"], ext=True),
            jwk(P256_2, "next", alg="ES256", use="sig", key_ops=["verify"], ext=True),
        ],
        SUPABASE_CLAIMS,
        Principal("user-1"),
        {"alg": "ES256", "kid": "5a1c"},
        signer=P256,
        others=(P256_2,),
        rules={"JWT_ISSUER": SUPABASE_ISSUER, "JWT_AUDIENCE": "authenticated"},
    ),
    "Supabase, a service by its role": Provider(
        [jwk(P256, "5a1c", alg="ES256", key_ops=["verify"], ext=True)],
        {**SUPABASE_CLAIMS, "sub": "svc", "role": "service_role"},
        SERVICE,
        {"alg": "ES256", "kid": "5a1c"},
        signer=P256,
        rules={"BROKER_SCOPE_CLAIM": "role", "BROKER_SERVICE_SCOPE": "service_role"},
    ),
    "Clerk": Provider(
        [signing(RSA, "ins_2abc")],
        {"azp": "https://app.example", "iss": "https://clerk.example", "sub": "user_2abc", "sid": "sess_1"}
        | {"exp": NOW + 60, "nbf": NOW - 10, "fva": [1, -1], "v": 2, "sts": "active"},
        Principal("user_2abc"),
        {"alg": "RS256", "kid": "ins_2abc", "cat": "cl_B7d4PD111AAA"},
        rules={"JWT_ISSUER": "https://clerk.example"},
    ),
    "Apple": Provider(
        [signing(RSA_2, "fh6Bs8C"), signing(RSA, "YuyXoY"), signing(RSA_3, "W6WcOKB")],
        {"iss": "https://appleid.example", "aud": "com.example.music", "sub": "001234.abcdef.0123"}
        | {"at_hash": "h", "email": "a@privaterelay.example", "email_verified": "true", "is_private_email": "true"}
        | {"auth_time": NOW - 60, "nonce_supported": True},
        Principal("001234.abcdef.0123"),
        {"alg": "RS256", "kid": "YuyXoY", "typ": None},
        others=(RSA_2, RSA_3),
        rules={"JWT_AUDIENCE": "com.example.music"},
        media_type="application/json;charset=ISO-8859-1",
    ),
    "a service with numbers and nulls": Provider(
        [jwk(P256, "1")],
        {"id": 42, "nbf": None, "iat": None, "scope": None, "scp": None, "aud": None, "iss": None},
        Principal("42"),
        {"alg": "ES256", "kid": "1"},
        signer=P256,
        rules={"JWT_SUBJECT_CLAIM": "id"},
    ),
    "one key without use and alg": Provider(
        [jwk(P256, "1")],
        {"sub": "u1"},
        Principal("u1"),
        {"alg": "ES256", "kid": "1"},
        signer=P256,
        media_type="application/jwk-set+json",
    ),
}
EVERY = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())


async def outcomes(provider: Provider, tokens: list[str], keys: list[Any] | None = None) -> Iterator[Principal | str]:
    """Return the principal of each token, or the reason for which it is refused."""
    data = answer(200, {"Content-Type": provider.media_type}, document(*(keys or provider.keys)))
    found: list[Principal | str] = []
    async with wire(says(data)) as server:
        rules = provider.settings(server.port).tokens
        assert isinstance(rules.key, JwksLocation)
        verifier = TokenVerifier(rules, JwksClient(rules.key))
        for token in tokens:
            try:
                found.append(await verifier.authenticate(bearer(token), now=NOW))
            except UnauthenticatedError as error:
                found.append(error.reason)
    return iter(found)


@EVERY
async def test_token_is_verified(provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    """A token of the service is verified by its published keys, and only keys for another use are skipped."""
    assert [*await outcomes(provider, [provider.token()])] == [provider.expected]
    skipped = [json.loads(line) for line in caplog.messages if "broker.jwks_key_skipped" in line]
    assert [line["reason"] for line in skipped] == ["must have sig as its use"] * provider.skipped


@EVERY
async def test_other_keys_do_not_verify(provider: Provider) -> None:
    """Neither the other keys of the set nor foreign keys verify a token, whatever the order of the set."""
    foreign = FOREIGN_P256 if provider.signer in (P256, P256_2) else FOREIGN_RSA
    forged = [provider.token(key) for key in (*provider.others, foreign)]
    for keys in (provider.keys, provider.keys[::-1]):
        found = [*await outcomes(provider, [*forged, provider.token()], keys)]
        assert found == ["the signature does not verify"] * len(forged) + [provider.expected]


@EVERY
async def test_user_is_not_a_service(provider: Provider) -> None:
    """A token without the claim that grants the service scope is that of a user."""
    plain = dict.fromkeys(("scope", "scp", "roles", "permissions", "role", "cognito:groups", "realm_access"))
    plain |= dict.fromkeys(("resource_access", "https://example.com/roles"))
    assert [*await outcomes(provider, [provider.token(**plain)])] == [Principal(provider.expected.subject)]


async def test_supabase_legacy_secret() -> None:
    """A token of Supabase's legacy secret is verified by the secret, and by no published key."""
    secret = b64(b"".join(bytes([number * 7 % 251]) for number in range(66)))
    token = jwt.encode({**TIMES, **SUPABASE_CLAIMS}, secret, "HS256")
    by_secret = TokenVerifier(settings.parse({"JWT_SECRET": secret, "JWT_AUDIENCE": "authenticated"}).tokens)
    assert by_secret.verify(bearer(token), now=NOW) == Principal("user-1")
    assert [*await outcomes(PROVIDERS["Supabase"], [token])] == ["the token has no kid"]


async def test_graph_tokens() -> None:
    """A token of Entra ID for Microsoft Graph is refused: Microsoft signs another header than it sends."""
    entra = PROVIDERS["Entra ID, version 2"]
    signed = entra.token().split(".")
    header = {"typ": "JWT", **ENTRA_HEADER, "nonce": "the nonce before it is hashed"}
    sent = ".".join([b64(json.dumps(header).encode()), *signed[1:]])
    assert [*await outcomes(entra, [sent])] == ["the signature does not verify"]


async def test_firebase_certificates(caplog: pytest.LogCaptureFixture) -> None:
    """Firebase's address with certificates is not a set of keys, and the log has the reason."""
    async with wire(says(answer(200, body=b'{"f2a1": "-----BEGIN CERTIFICATE-----"}'))) as server:
        assert not await JwksClient(JwksLocation(f"http://127.0.0.1:{server.port}/x509")).refresh()
    assert json.loads(caplog.messages[-1])["reason"] == "the JWK Set does not have a list of at most 100 keys"
