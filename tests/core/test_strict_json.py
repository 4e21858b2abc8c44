"""JSON that has one meaning is read as everybody reads it; the rest is refused by its rule."""

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
def test_a_plain_document_is_read_as_it_was_written(document: Any, ascii_only: bool) -> None:
    assert parse(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise_than_by_a_rule(data: bytes) -> None:
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
def test_what_has_no_one_meaning_is_refused_by_its_rule(data: bytes, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}$"):
        parse(data)


def test_as_many_levels_as_are_allowed_and_any_number_of_brackets_in_strings_pass() -> None:
    parse(b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX)
    parse(b"[{}, " + b"[" * (JSON_DEPTH_MAX - 1) + b"]" * JSON_DEPTH_MAX)
    assert parse(json.dumps("[{" * 100).encode()) == "[{" * 100


def test_an_escaped_pair_of_surrogates_is_one_character() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("data", [b"[]", b'"{}"', b"1", b"null"])
def test_what_is_no_object_is_refused_where_one_is_wanted(data: bytes) -> None:
    with pytest.raises(ValueError, match="must be one JSON object"):
        parse_object(data)


def test_an_object_is_given_where_one_is_wanted() -> None:
    assert parse_object(b'{"a": [1]}') == {"a": [1]}


def test_a_refusal_carries_nothing_of_the_document() -> None:
    """Not even as its context: a JWK may stand in it."""
    with pytest.raises(ValueError, match="must be") as refused:
        parse(b'{"d": "canary"')
    assert refused.value.__context__ is None


class Note(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A closed document."""

    text: str
    more: list["Note"] = []
    number: int | None = None


NOTES = msgspec.json.Decoder(Note)


@pytest.mark.parametrize(
    "data", [b'{"text":"a"}', b' {"number": 1,\n "text": "\xc3\xa9"} ', b'{"text":"","more":[{"text":"b"}]}']
)
def test_a_plain_document_is_decoded_as_it_is_parsed(data: bytes) -> None:
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
def test_what_may_have_another_meaning_is_left_to_the_strict_reader(data: bytes) -> None:
    """A member twice, an escape, other bytes than UTF-8, another shape."""
    assert decode_plain(data, NOTES) is None


@given(st.text('{}[]"textmornub:,1 \\\n', max_size=60))
def test_a_plain_document_never_means_two_things(text: str) -> None:
    document = decode_plain(text.encode(), NOTES)
    assert document is None or document == msgspec.convert(parse(text.encode()), Note)
