"""The JWK Set of an identity service (RFC 7517 section 5), and the usable keys in it.

Rules of this module
- A key is skipped if it cannot verify signatures: it is secret, weak, malformed, for another use or of an unknown kind.
  A skipped key does not affect the others, not even one with its ``kid``. The rule that it breaks is returned.
- Keys with one ``kid`` are told apart by the algorithms that they verify (RFC 7517 section 4.5). The same key listed
  twice is one key. An algorithm that still fits several keys of a ``kid`` verifies no token.
- A token names its key by ``kid``, so a key without one is skipped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Final, NamedTuple

from broker.core.strict_json import parse_object
from broker.crypto.public_key import jwk_key
from broker.crypto.verification_key import PUBLIC_ALGORITHMS, VerificationKey

from .key_source import KID_MAX, is_valid_kid

JWKS_BYTES_MAX: Final = 256 * 1024
"""Maximum size of a JWK Set in bytes."""

JWKS_KEYS_MAX: Final = 100
"""Maximum number of keys in a JWK Set."""

KID_SHOWN_MAX: Final = 64
"""Maximum number of characters of a ``kid`` in the log."""

KeyTable = Mapping[str, VerificationKey | None]
"""The key for each algorithm; ``None`` if several keys fit it."""


@dataclass(frozen=True, slots=True)
class SkippedKey:
    """A key of the set that is not used: its index, its ``kid`` as text for the log, and the rule that it breaks."""

    index: int
    kid: str | None
    rule: str


@dataclass(frozen=True, slots=True)
class JwkSet:
    """The usable keys of a set by ``kid``, their number, and the skipped keys."""

    by_kid: Mapping[str, KeyTable]
    key_count: int
    skipped: tuple[SkippedKey, ...]

    @property
    def is_usable(self) -> bool:
        """Whether a key of the set can verify a token."""
        return any(key for table in self.by_kid.values() for key in table.values())


class _Listed(NamedTuple):
    """A usable key of the set, with its indexes: the same key may be listed several times."""

    indexes: tuple[int, ...]
    key: VerificationKey


def parse(document: bytes, algorithms: Sequence[str] = ()) -> JwkSet:
    """Return the keys of a JWK Set, narrowed to ``algorithms`` if any are given; raise ``ValueError`` for no set."""
    if len(document) > JWKS_BYTES_MAX:
        raise ValueError(f"the JWK Set has more than {JWKS_BYTES_MAX} bytes")
    jwks = parse_object(document).get("keys")
    if not isinstance(jwks, list) or len(jwks) > JWKS_KEYS_MAX:
        raise ValueError(f"the JWK Set does not have a list of at most {JWKS_KEYS_MAX} keys")
    by_kid: dict[str, list[_Listed]] = {}
    skipped: list[SkippedKey] = []
    for index, jwk in enumerate(jwks):
        try:
            kid, key = _usable(jwk, algorithms)
        except ValueError as error:
            skipped.append(SkippedKey(index, _shown_kid(jwk), str(error)))
        else:
            by_kid.setdefault(kid, []).append(_Listed((index,), key))
    merged = {kid: _merged(group) for kid, group in by_kid.items()}
    for kid, group in merged.items():
        skipped += _ambiguous(kid, group)
    tables = {kid: _table(group) for kid, group in merged.items()}
    key_count = sum(map(len, merged.values()))
    return JwkSet(tables, key_count, tuple(sorted(skipped, key=attrgetter("index"))))


def _usable(jwk: object, algorithms: Sequence[str]) -> tuple[str, VerificationKey]:
    """Return the ``kid`` and the key of a member of the set; raise ``ValueError`` with the rule that it breaks."""
    if not isinstance(jwk, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004  a rule like the others
    kid = jwk.get("kid")
    if not is_valid_kid(kid):
        raise ValueError(f"must have a kid of 1 to {KID_MAX} printable characters")
    key = jwk_key(jwk)
    allowed = tuple(name for name in key.algorithms if not algorithms or name in algorithms)
    if not allowed:
        raise ValueError("must verify one of JWT_ALGORITHMS")
    return kid, replace(key, algorithms=allowed)


def _shown_kid(jwk: Any) -> str | None:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    if not isinstance(kid, str):
        return None
    return "".join(char if char.isprintable() else "?" for char in kid[:KID_SHOWN_MAX])


def _merged(group: Iterable[_Listed]) -> list[_Listed]:
    """Return each key once, with the algorithms of all its entries."""
    merged: list[_Listed] = []
    for listed in group:
        for at, known in enumerate(merged):
            if known.key.material == listed.key.material:
                names = {*known.key.algorithms, *listed.key.algorithms}
                key = replace(known.key, algorithms=tuple(name for name in PUBLIC_ALGORITHMS if name in names))
                merged[at] = _Listed(known.indexes + listed.indexes, key)
                break
        else:
            merged.append(listed)
    return merged


def _table(group: Sequence[_Listed]) -> KeyTable:
    table: dict[str, VerificationKey | None] = {}
    for listed in group:
        for name in listed.key.algorithms:
            table[name] = None if name in table else listed.key
    return table


def _ambiguous(kid: str, group: Sequence[_Listed]) -> Iterable[SkippedKey]:
    """Yield each key of a ``kid`` that shares an algorithm with a different key."""
    table = _table(group)
    for listed in group:
        names = [name for name in listed.key.algorithms if table[name] is None]
        if names:
            reason = f"must be the only key with its kid for {', '.join(names)}"
            yield from (SkippedKey(index, _shown_kid({"kid": kid}), reason) for index in listed.indexes)
