"""Bearer tokens: the Authorization fields of a request in, a principal out, or one refusal for every cause.

Rules of this module
- Of PyJWT only the signature algorithms are used: it takes duplicate members, other encodings and numbers in strings.
  The compact form, the JOSE header and the claims are read and validated here, with ``now`` an argument.
- The header may only agree with what is configured: it chooses neither the key nor where to find one (RFC 8725
  sections 3.1 and 3.10). ``jwk``, ``jku``, ``x5u`` and ``x5c`` are never looked at.
- Claims are read after the signature is good, and a token has one spelling.
- A reason is a fixed phrase for the log: no part of a token is in it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NewType
from urllib.parse import unquote

from broker.core.model import Principal
from broker.core.strict_json import parse_object
from broker.crypto.secrets import b64url_decode
from broker.crypto.verification_key import JwksLocation, TokenRules
from broker.error_texts import Detail
from broker.errors import IdentityUnavailableError, MalformedRequestError, UnauthenticatedError

from .jwks_client import JwksClient
from .key_source import ConfiguredKey, KeySource, UnknownKeyError
from .signatures import LIBRARY_ERRORS, SignatureCheck
from .token_cache import TokenCache

VerifiedClaims = NewType("VerifiedClaims", dict[str, Any])
"""Claims under a good signature. Their values were not validated yet."""

AUTHORIZATION_MAX = 8 * 1024  # characters
KID_MAX = 256  # characters
SUBJECT_MAX = 255  # bytes of UTF-8

# RFC 7515 section 7.1: three parts in base64url without padding, none empty; ``b64url_decode`` takes one spelling each
_COMPACT = re.compile(r"(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]+)")

# They change what the payload is: RFC 7797, RFC 7516 section 4.1.3, RFC 7515 section 4.1.11, RFC 7519 section 5.2
_PAYLOAD_CHANGERS = frozenset({"b64", "zip", "crit", "cty"})


class TokenVerifier:
    """Turns bearer tokens that keep the rules into principals."""

    def __init__(self, rules: TokenRules, keys: KeySource | None = None) -> None:
        self._rules = rules
        self.keys = keys or key_source_of(rules)
        self._known = TokenCache()

    async def authenticate(self, authorization: Sequence[str], *, now: int) -> Principal:
        """Like ``principal``, with two differences.

        A token that was verified a moment ago is not verified again. For one that names an unknown key, the identity
        service is asked.
        """
        if len(authorization) == 1 and len(authorization[0]) <= AUTHORIZATION_MAX:
            known = self._known.find(authorization[0], now=now, keys_version=self.keys.version())
            if known:
                return known
        try:
            return self._verified(authorization, now)
        except (UnknownKeyError, IdentityUnavailableError):
            if not await self.keys.refresh():
                raise
        return self._verified(authorization, now)

    def principal(self, authorization: Sequence[str], *, now: int) -> Principal:
        """Who sent a request with these Authorization fields; raises ``UnauthenticatedError``.

        Asks nobody: raises ``IdentityUnavailableError`` when there is no key to verify with. More than one field is
        a malformed request (RFC 9110 section 5.3): ``MalformedRequestError``.
        """
        return self._principal(self._valid_claims(authorization, now))

    def _verified(self, authorization: Sequence[str], now: int) -> Principal:
        """Like ``principal``, and the token is known from now on."""
        claims = self._valid_claims(authorization, now)
        principal = self._principal(claims)
        self._known.keep(authorization[0], principal, now=now, until=int(claims["exp"]) + self._rules.leeway)
        return principal

    def _valid_claims(self, authorization: Sequence[str], now: int) -> VerifiedClaims:
        claims = self._verify(_compact(authorization))
        _validate_times(claims, self._rules, now)
        _validate_issuer(claims, self._rules.issuer)
        _validate_audience(claims, self._rules.audience)
        return claims

    def _principal(self, claims: VerifiedClaims) -> Principal:
        return Principal(_subject(claims, self._rules.subject_claim), _has_scope(claims, self._rules.service_scope))

    def _verify(self, token: re.Match[str]) -> VerifiedClaims:
        message, head, payload, signature = token.groups()
        header = _object(head, "the header is not one strict JSON object")
        _validate_header(header, self._rules.typ)
        check = self._check(header)
        try:
            good = check(message.encode(), b64url_decode(signature))
        except LIBRARY_ERRORS:
            good = False
        _require(good, "the signature is wrong")
        return VerifiedClaims(_object(payload, "the payload is not one strict JSON object"))

    def _check(self, header: Mapping[str, Any]) -> SignatureCheck:
        """The key, for the algorithm that the header says: it must be one of the key's."""
        algorithm = header.get("alg")
        check = self.keys.checks(header.get("kid")).get(algorithm) if isinstance(algorithm, str) else None
        if check is None:
            raise UnauthenticatedError("the algorithm is not allowed")
        return check


def key_source_of(rules: TokenRules) -> KeySource:
    """The keys that the rules name."""
    return JwksClient(rules.key) if isinstance(rules.key, JwksLocation) else ConfiguredKey(rules.key)


def _require(kept: bool, reason: str) -> None:
    if not kept:
        raise UnauthenticatedError(reason)


def _compact(authorization: Sequence[str]) -> re.Match[str]:
    """The token in the only Authorization field (RFC 6750 section 2.1)."""
    if len(authorization) > 1:
        raise MalformedRequestError(Detail.AUTHORIZATION_REPEATED)
    value = authorization[0] if authorization else ""
    _require(value != "", "there is no Authorization field")
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


def _validate_header(header: Mapping[str, Any], typ: str | None) -> None:
    _require(not _PAYLOAD_CHANGERS & header.keys(), "the header changes what the payload is")
    kid = header.get("kid", "none")
    _require(isinstance(kid, str) and 0 < len(kid) <= KID_MAX and kid.isprintable(), "the kid is no name")
    given = header.get("typ", "")
    _require(isinstance(given, str), "the typ is no string")
    _require(typ is None or _media_type(given) == _media_type(typ), "the typ is another")


def _media_type(typ: str) -> str:
    return typ.lower().removeprefix("application/")  # RFC 7515 section 4.1.9


def _validate_times(claims: VerifiedClaims, rules: TokenRules, now: int) -> None:
    """RFC 7519 sections 4.1.4 to 4.1.6; without ``exp`` a token would live for ever."""
    _require("exp" in claims, "exp is missing")
    exp, nbf, iat = (_instant(claims.get(name, now), name) for name in ("exp", "nbf", "iat"))
    _require(now < exp + rules.leeway, "the token has expired")
    _require(exp <= now + rules.max_lifetime + rules.leeway, "the token lives too long")
    _require(nbf <= now + rules.leeway, "the token is not valid yet")
    _require(iat <= now + rules.leeway, "the token is from the future")


def _instant(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UnauthenticatedError(f"{name} is no instant")
    return value


def _validate_issuer(claims: VerifiedClaims, issuer: str | None) -> None:
    _require(issuer is None or claims.get("iss") == issuer, "the issuer is another")


def _validate_audience(claims: VerifiedClaims, audience: str | None) -> None:
    if audience is not None:
        given = claims.get("aud", [])
        _require(audience in _strings([given] if isinstance(given, str) else given, "aud"), "the audience is another")


def _has_scope(claims: VerifiedClaims, scope: str) -> bool:
    given = claims.get("scope", [])
    granted = _strings(given.split(" ") if isinstance(given, str) else given, "scope")  # RFC 6749 section 3.3
    return scope in granted and scope != ""  # which is what an empty string splits into


def _strings(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UnauthenticatedError(f"{name} is no string or array of strings")
    return value


def _subject(claims: VerifiedClaims, name: str) -> str:
    """The subject: a printable name that is not blank and not a path, however often a layer percent-decodes it."""
    subject = claims.get(name)
    if not isinstance(subject, str) or not 1 <= len(subject.encode(errors="replace")) <= SUBJECT_MAX:
        raise UnauthenticatedError("the subject is no string, empty or too long")
    decoded = subject
    while (once := unquote(decoded)) != decoded:
        decoded = once
    _require(decoded.isprintable(), "the subject is not printable")  # no controls, bidi marks or lone surrogates
    _require(decoded.strip() != "", "the subject is blank")
    _require(not {"\\", "\ufffd"} & set(decoded) and not {".", ".."} & set(decoded.split("/")), "the subject is a path")
    return subject
