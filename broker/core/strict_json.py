"""Strict JSON (RFC 8259 with the rules of RFC 7493, I-JSON), for request bodies, tokens and keys.

A document is UTF-8 without a byte order mark. It has no duplicate keys, no non-finite numbers, no lone surrogates and a
bounded depth, so every parser reads the same values from it.
"""

import json
import math
from typing import Any, TypeVar

import msgspec

from broker.error_texts import Rule

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode

JSON_DEPTH_MAX = 16
"""Maximum depth of nested arrays and objects."""


def parse(data: bytes) -> Any:
    """Parse ``data``; raise ``ValueError`` with the broken rule and without any content of the document."""
    document = rule = None
    try:
        text = data.decode()
        document = _DECODER.decode(text)
        rule = _broken_rule(text, document)
    except _RuleError as error:
        rule = str(error)
    except (ValueError, RecursionError):
        rule = Rule.JSON
    if rule:  # raised outside of the handler: json.JSONDecodeError, also as a context, holds the document
        raise ValueError(rule)
    return document


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse ``data``, which must be a JSON object; raise ``ValueError`` like ``parse``."""
    document = parse(data)
    if not isinstance(document, dict):
        raise ValueError(Rule.JSON_OBJECT)  # noqa: TRY004  a rule like the others
    return document


def decode_plain(data: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Decode ``data`` five times as fast as ``parse``; ``None`` if the result might differ from that of ``parse``.

    ``decoder`` must be of a Struct that forbids unknown fields and omits defaults. Without escapes, a document with
    duplicate keys then has more quotation marks than the shortest encoding of its result.
    """
    if b"\\" in data:
        return None
    try:
        document = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return document if data.count(b'"') == _encode(document).count(b'"') else None


def _broken_rule(text: str, document: Any) -> str | None:
    brackets = text.count("[") + text.count("{")  # a document cannot be deeper than their number
    if brackets > JSON_DEPTH_MAX and _nests_deeper(document, JSON_DEPTH_MAX):
        return Rule.JSON_DEPTH.format(limit=JSON_DEPTH_MAX)
    if "\\u" in text and not _is_encodable(document):
        return Rule.SURROGATES
    return None


class _RuleError(ValueError):
    """A rule that the JSON grammar does not have."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RuleError(Rule.JSON_DUPLICATE_KEYS)
    return members


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise _RuleError(Rule.JSON_FINITE)
    return value


def _nests_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_nests_deeper(item, levels - 1) for item in inner)


def _is_encodable(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_float=_finite, parse_constant=_finite)
