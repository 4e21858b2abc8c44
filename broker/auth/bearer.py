"""Bearer tokens (RFC 6750): from the Authorization fields of a request to its principal.

Rules of this module
- Signatures are checked by PyJWT's algorithms, and by ``hmac`` for a shared secret. PyJWT's parser is not used: it
  accepts duplicate keys, other encodings and numbers in strings. The compact serialization, the JOSE header and the
  claims are validated here, with ``now`` as an argument.
- The JOSE header must agree with the configuration. It selects neither the key's algorithms nor its location (RFC 8725
  sections 3.1 and 3.10): ``jwk``, ``jku``, ``x5u`` and ``x5c`` are ignored.
- Claims are parsed only after the signature is verified. A token has exactly one valid encoding.
- Every invalid token gets the same response. The reason is a fixed phrase for the log, without any part of the token.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NewType
from urllib.parse import unquote

from broker.core.model import Principal
from broker.core.strict_json import parse_object
from broker.crypto.secrets import b64url_decode
from broker.error_texts import Detail
from broker.errors import IdentityUnavailableError, MalformedRequestError, UnauthenticatedError
from broker.settings.token_rules import JwksLocation, TokenRules

from .key_source import ConfiguredKey, KeySource, UnknownKeyError, is_valid_kid
from .signatures import SignatureCheck
from .token_cache import TokenCache, digest_of

VerifiedClaims = NewType("VerifiedClaims", dict[str, Any])
"""Claims whose signature is verified, and whose values are not validated yet."""

AUTHORIZATION_MAX = 8 * 1024
"""Maximum length of an Authorization field in characters."""

SUBJECT_MAX = 255
"""Maximum length of a subject in bytes of UTF-8."""

SUBJECT_INTEGER_MAX = 2**64 - 1
"""Maximum of a subject that is an integer. A larger one is not the key of a database, and readers may round it."""

HEADERS_MAX = 64
"""Maximum number of headers in memory. The tokens of one key have the same header, which is parsed once."""

# RFC 7515 section 7.1: three non-empty parts in base64url without padding. ``b64url_decode`` rejects unused bits.
_COMPACT = re.compile(r"(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]+)")

# A subject that every rule of ``_subject`` accepts.
_PLAIN_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@|:-]{0,254}")

# Parameters that change the meaning of the payload: RFC 7797, RFC 7516 section 4.1.3, RFC 7515 section 4.1.11, RFC 7519
# section 5.2.
_UNSUPPORTED_PARAMETERS = frozenset({"b64", "zip", "crit", "cty"})


class TokenVerifier:
    """Verifies bearer tokens and validates their claims by ``rules``. ``keys`` defaults to the keys of the rules."""

    def __init__(self, rules: TokenRules, keys: KeySource | None = None) -> None:
        self._rules = rules
        self.keys = keys or key_source_of(rules)
        self._cache = TokenCache()
        self._headers: dict[str, Mapping[str, Any]] = {}  # valid headers of verified tokens, by their encoded form

    async def authenticate(self, authorization: Sequence[str], *, now: int) -> Principal:
        """Return the principal of a request like ``verify``, with the cache and the identity service.

        A token that was verified recently is found in the cache. For an unknown ``kid`` the keys are fetched.
        """
        if len(authorization) != 1 or len(authorization[0]) > AUTHORIZATION_MAX:
            return self.verify(authorization, now=now)
        digest = digest_of(authorization[0])
        cached = self._cache.get(digest, now=now, keys_version=self.keys.version())
        if cached:
            return cached
        try:
            return self._verify_and_cache(authorization, digest, now)
        except (UnknownKeyError, IdentityUnavailableError):
            if not await self.keys.refresh():
                raise
        return self._verify_and_cache(authorization, digest, now)

    def verify(self, authorization: Sequence[str], *, now: int) -> Principal:
        """Return the principal of a request with these Authorization fields, by the loaded keys and without I/O.

        Raises ``UnauthenticatedError``, ``IdentityUnavailableError`` if no keys are loaded, or
        ``MalformedRequestError`` for more than one field (RFC 9110 section 5.3).
        """
        return self._principal(self._decode(authorization, now))

    def _verify_and_cache(self, authorization: Sequence[str], digest: bytes, now: int) -> Principal:
        claims = self._decode(authorization, now)
        principal = self._principal(claims)
        self._cache.put(digest, principal, now=now, expires_at=int(claims["exp"]) + self._rules.leeway)
        return principal

    def _decode(self, authorization: Sequence[str], now: int) -> VerifiedClaims:
        claims = self._verify_signature(_compact(authorization))
        _validate_times(claims, self._rules, now)
        _validate_issuer(claims, self._rules.issuer)
        _validate_audience(claims, self._rules.audience)
        return claims

    def _principal(self, claims: VerifiedClaims) -> Principal:
        return Principal(_subject(claims, self._rules.subject_claim), _is_service(claims, self._rules))

    def _verify_signature(self, token: re.Match[str]) -> VerifiedClaims:
        signing_input, head, payload, signature = token.groups()
        header = self._headers.get(head) or _valid_header(head, self._rules.typ)
        check = self._check(header)
        try:
            is_valid = check(signing_input.encode(), b64url_decode(signature))
        except ValueError:  # not canonical
            is_valid = False
        _require(is_valid, "the signature does not verify")
        if head not in self._headers:
            self._remember(head, header)
        return VerifiedClaims(_object(payload, "the payload is not a strict JSON object"))

    def _remember(self, head: str, header: Mapping[str, Any]) -> None:
        if len(self._headers) >= HEADERS_MAX:
            self._headers.clear()
        self._headers[head] = header

    def _check(self, header: Mapping[str, Any]) -> SignatureCheck:
        """Return the check for the algorithm in the header, which must be one of the key's."""
        algorithm = header.get("alg")
        check = self.keys.checks(header.get("kid")).get(algorithm) if isinstance(algorithm, str) else None
        if check is None:
            raise UnauthenticatedError("the algorithm is not allowed")
        return check


def key_source_of(rules: TokenRules) -> KeySource:
    """Return the source of the keys in the rules."""
    if not isinstance(rules.key, JwksLocation):
        return ConfiguredKey(rules.key)
    from .jwks_client import JwksClient  # noqa: PLC0415  its libraries take a tenth of the start

    return JwksClient(rules.key)


def _require(is_kept: bool, reason: str) -> None:
    if not is_kept:
        raise UnauthenticatedError(reason)


def _compact(authorization: Sequence[str]) -> re.Match[str]:
    """Return the token in the only Authorization field (RFC 6750 section 2.1)."""
    if len(authorization) > 1:
        raise MalformedRequestError(Detail.AUTHORIZATION_REPEATED)
    value = authorization[0] if authorization else ""
    _require(value != "", "the Authorization field is missing")
    _require(len(value) <= AUTHORIZATION_MAX, "the Authorization field is too long")
    scheme, _, token = value.partition(" ")
    _require(scheme.lower() == "bearer", "the scheme is not Bearer")
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise UnauthenticatedError("the token is not in compact form")
    return match


def _object(part: str, reason: str) -> dict[str, Any]:
    try:
        return parse_object(b64url_decode(part))
    except ValueError:
        raise UnauthenticatedError(reason) from None


def _valid_header(head: str, typ: str | None) -> Mapping[str, Any]:
    header = _object(head, "the header is not a strict JSON object")
    _require(not _UNSUPPORTED_PARAMETERS & header.keys(), "the header has an unsupported parameter")
    _require(is_valid_kid(header.get("kid", "none")), "the kid is empty, too long or not a printable string")
    given = header.get("typ", "")
    _require(isinstance(given, str), "the typ is not a string")
    _require(typ is None or _media_type(given) == _media_type(typ), "the typ does not match")
    return header


def _media_type(typ: str) -> str:
    return typ.lower().removeprefix("application/")  # RFC 7515 section 4.1.9


def _validate_times(claims: VerifiedClaims, rules: TokenRules, now: int) -> None:
    """Validate exp, nbf and iat (RFC 7519 sections 4.1.4 to 4.1.6). A token without ``exp`` would never expire."""
    _require("exp" in claims, "exp is missing")
    exp, nbf, iat = _timestamp(claims["exp"], "exp"), claims.get("nbf"), claims.get("iat")
    latest = now + rules.leeway
    _require(now < exp + rules.leeway, "the token has expired")
    _require(exp <= latest + rules.max_lifetime, "the lifetime of the token is too long")
    _require(nbf is None or _timestamp(nbf, "nbf") <= latest, "the token is not valid yet")
    _require(iat is None or _timestamp(iat, "iat") <= latest, "the token was issued in the future")


def _timestamp(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UnauthenticatedError(f"{name} is not a timestamp")
    return value


def _validate_issuer(claims: VerifiedClaims, issuer: str | None) -> None:
    _require(issuer is None or claims.get("iss") == issuer, "the issuer does not match")


def _validate_audience(claims: VerifiedClaims, audience: str | None) -> None:
    if audience is not None:
        given = [] if claims.get("aud") is None else claims["aud"]
        _require(
            audience in _strings([given] if isinstance(given, str) else given, "aud"), "the audience does not match"
        )


def _is_service(claims: VerifiedClaims, rules: TokenRules) -> bool:
    """Return whether the service scope is granted by the configured claim.

    Its default is ``scope`` (RFC 8693 section 4.2) and ``scp`` (Entra ID and Okta) together.
    """
    if rules.scope_claim is None:
        granted = [*_scopes(claims.get("scope"), "scope"), *_scopes(claims.get("scp"), "scp")]
    else:
        granted = _scopes(_nested(claims, rules.scope_claim), "the scope claim")
    return rules.service_scope in granted and rules.service_scope != ""  # an empty text splits into one empty text


def _scopes(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    return _strings(value.split(" ") if isinstance(value, str) else value, name)  # RFC 6749 section 3.3


def _nested(value: Any, path: str) -> Any:
    """Return the member whose name is ``path``. Without one, dots separate names: the longest that exists is first."""
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    names = [path[:at] for at, char in enumerate(path) if char == "." and path[:at] in value]
    return _nested(value[names[-1]], path[len(names[-1]) + 1 :]) if names else None


def _strings(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UnauthenticatedError(f"{name} is not a string or an array of strings")
    return value


def _subject(claims: VerifiedClaims, name: str) -> str:
    """Return the subject: a printable name that is neither blank nor a path, or the digits of an integer.

    A name stays so after any number of percent-decodings, as later layers may decode it again.
    """
    subject = claims.get(name)
    if isinstance(subject, str) and _PLAIN_SUBJECT.fullmatch(subject):
        return subject
    if type(subject) is int and 0 <= subject <= SUBJECT_INTEGER_MAX:  # a bool is an int, too
        return str(subject)
    if not isinstance(subject, str) or not 1 <= len(subject.encode(errors="replace")) <= SUBJECT_MAX:
        raise UnauthenticatedError("the subject is empty, too long or of a wrong type")
    decoded = subject
    while (once := unquote(decoded)) != decoded:
        decoded = once
    _require(decoded.isprintable(), "the subject is not printable")  # excludes controls, bidi marks and lone surrogates
    _require(decoded.strip() != "", "the subject is blank")
    _require(not {"\\", "\ufffd"} & set(decoded) and not {".", ".."} & set(decoded.split("/")), "the subject is a path")
    return subject
