"""JSON with one meaning, or none: RFC 8259 read as RFC 7493 (I-JSON) asks, for bodies and tokens alike.

UTF-8 without a byte order mark, no member twice, finite numbers, no lone surrogates, shallow.
"""

import json
import math
from typing import Any, TypeVar

import msgspec

from broker.error_texts import Rule

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode

DEPTH_MAX = 16
"""Levels a document may nest."""


def parse(data: bytes) -> Any:
    """The document in ``data``; raises ``ValueError`` whose words are the broken rule and nothing of the document."""
    document = rule = None
    try:
        text = data.decode()
        document = _DECODER.decode(text)
        rule = _broken_rule(text, document)
    except _RuleError as error:
        rule = str(error)
    except (ValueError, RecursionError):
        rule = Rule.JSON
    if rule:  # raised out here: a parser's own error, even as a context, holds the document
        raise ValueError(rule)
    return document


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object in ``data``; raises ``ValueError`` as ``parse`` does."""
    document = parse(data)
    if not isinstance(document, dict):
        raise ValueError(Rule.JSON_OBJECT)  # noqa: TRY004  a rule like the others
    return document


def decode_plain(data: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """What ``decoder`` makes of ``data``, where that can be no other than of ``parse(data)``; else ``None``.

    It is so for a closed Struct that omits its defaults, when nothing is escaped: then a member that is there twice
    leaves more quotes than the document's shortest form has. Five times as fast.
    """
    if b"\\" in data:
        return None
    try:
        document = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return document if data.count(b'"') == _encode(document).count(b'"') else None


def _broken_rule(text: str, document: Any) -> str | None:
    if text.count("[") + text.count("{") > DEPTH_MAX and _nests_deeper(document, DEPTH_MAX):  # fewer nest no deeper
        return Rule.JSON_DEPTH.format(limit=DEPTH_MAX)
    if "\\u" in text and not _is_encodable(document):
        return Rule.SURROGATES
    return None


class _RuleError(ValueError):
    """A rule that is ours and not the grammar's."""


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
