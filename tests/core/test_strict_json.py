"""Strict JSON: valid documents are parsed, all others are refused with a rule."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.strict_json import JSON_DEPTH_MAX, decode_plain, parse, parse_object

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(codec="utf-8"), max_size=10)
documents = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=8,
)


@given(documents, st.booleans())
def test_round_trip(document: Any, ascii_only: bool) -> None:
    """A valid document is parsed to the values that were written."""
    assert parse(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are parsed or refused with a rule."""
    try:
        document = parse(data)
    except ValueError as error:
        assert str(error).startswith("must ")
    else:
        assert not isinstance(document, float) or math.isfinite(document)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "must be one JSON document in UTF-8"),
        (b"{} {}", "must be one JSON document in UTF-8"),
        (b"\xef\xbb\xbf{}", "must be one JSON document in UTF-8"),
        ("{}".encode("utf-16"), "must be one JSON document in UTF-8"),
        (b"[" * 100_000, "must be one JSON document in UTF-8"),
        (b"9" * 5000, "must be one JSON document in UTF-8"),
        (b'{"a": 1, "a": 1}', "must not contain duplicate keys"),
        (b'[{"a": {"b": 1, "\\u0062": 2}}]', "must not contain duplicate keys"),
        (b"[NaN]", "must contain finite numbers only"),
        (b"-Infinity", "must contain finite numbers only"),
        (b"1e400", "must contain finite numbers only"),
        (b'"\\ud800"', "must not contain lone surrogates"),
        (b'{"\\udfff": 1}', "must not contain lone surrogates"),
        (b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1), "must not nest deeper than 16 levels"),
    ],
)
def test_invalid_documents(data: bytes, rule: str) -> None:
    """An ambiguous or malformed document is refused with the broken rule."""
    with pytest.raises(ValueError, match=f"^{rule}$"):
        parse(data)


def test_depth() -> None:
    """The maximum depth is allowed, and brackets in strings do not count."""
    parse(b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX)
    parse(b"[{}, " + b"[" * (JSON_DEPTH_MAX - 1) + b"]" * JSON_DEPTH_MAX)
    assert parse(json.dumps("[{" * 100).encode()) == "[{" * 100


def test_surrogate_pairs() -> None:
    """An escaped surrogate pair is one character."""
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("data", [b"[]", b'"{}"', b"1", b"null"])
def test_parse_object_refuses_others(data: bytes) -> None:
    """A document that is not an object is refused where an object is required."""
    with pytest.raises(ValueError, match="must be one JSON object"):
        parse_object(data)


def test_parse_object() -> None:
    """An object is returned where an object is required."""
    assert parse_object(b'{"a": [1]}') == {"a": [1]}


def test_errors_hold_no_content() -> None:
    """An error has no context that contains the document, which may be a private JWK."""
    with pytest.raises(ValueError, match="must be") as refused:
        parse(b'{"d": "canary"')
    assert refused.value.__context__ is None


class Note(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A closed Struct that omits its defaults."""

    text: str
    more: list["Note"] = []
    number: int | None = None


NOTES = msgspec.json.Decoder(Note)


@pytest.mark.parametrize(
    "data", [b'{"text":"a"}', b' {"number": 1,\n "text": "\xc3\xa9"} ', b'{"text":"","more":[{"text":"b"}]}']
)
def test_decode_plain(data: bytes) -> None:
    """The fast decoder returns the same values as the strict parser."""
    assert decode_plain(data, NOTES) == msgspec.convert(parse(data), Note)


@pytest.mark.parametrize(
    "data",
    [
        b'{"text":"a","text":"a"}',
        b'{"text":"a","number":null,"number":null}',
        b'{"text":"a","more":[{"text":"b"},{"text":"b","text":"b"}]}',
        b'{"text":"a","more":[{"text":"b","text":"b"}],"more":[]}',
        b'{"text":"\\u0061"}',
        b'{"text":"\\ud800"}',
        b'{"text":"\xff"}',
        b'\xef\xbb\xbf{"text":"a"}',
        b'{"text":"a","other":1}',
        b'{"text":1}',
        b'{"text":"a"}{}',
        b"[" * 5000,
    ],
)
def test_decode_plain_returns_none(data: bytes) -> None:
    """The fast decoder returns nothing for duplicate keys, escapes, other encodings and other shapes."""
    assert decode_plain(data, NOTES) is None


@given(st.text('{}[]"textmornub:,1 \\\n', max_size=60))
def test_decode_plain_agrees(text: str) -> None:
    """What the fast decoder returns for any text equals the result of the strict parser."""
    document = decode_plain(text.encode(), NOTES)
    assert document is None or document == msgspec.convert(parse(text.encode()), Note)
