"""File names, and the header field that carries them."""

import unicodedata
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.disposition import FILENAME_MAX, clean_name, content_disposition


@pytest.mark.parametrize(
    ("given_name", "cleaned"),
    [
        ("My song.mp3", "My song.mp3"),
        ("C:\\fakepath\\song.mp3", "song.mp3"),
        ("../../etc/passwd", "passwd"),
        ("  song.mp3 ", "song.mp3"),
        ("song\u202egpj.exe", "songgpj.exe"),
        ("so\u200bng\ufeff.mp3", "song.mp3"),
        ("Cafe\u0301.mp3", "Caf\u00e9.mp3"),
        ("👩‍👩‍👧.png", "👩‍👩‍👧.png"),
        ("CON", "CON"),
        (".htaccess", ".htaccess"),
        ("a" * FILENAME_MAX, "a" * FILENAME_MAX),
    ],
)
def test_names_are_cleaned(given_name: str, cleaned: str) -> None:
    """A file name keeps its last path segment in NFC, without invisible characters."""
    assert clean_name(given_name) == cleaned


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "must be the name of a file"),
        (".", "must be the name of a file"),
        ("a/..", "must be the name of a file"),
        ("...", "must be the name of a file"),
        ("a/ .", "must be the name of a file"),
        ("\u200b", "must be the name of a file"),
        ("a\x00b", "control"),
        ("a\r\nSet-Cookie: x", "control"),
        ("tab\t", "control"),
        ("del\x7f", "control"),
        ("nel\x85", "control"),
        ("a\u2028b", "line separators"),
        ("a\u2029b", "line separators"),
        ("a\ud800", "surrogates"),
        ("a" * (FILENAME_MAX + 1), "at most 255"),
        ("\U0001d160" * (FILENAME_MAX // 3 + 1), "at most 255 characters in Unicode NFC"),  # expanded to three each
    ],
)
def test_invalid_names_are_refused(name: str, rule: str) -> None:
    """An invalid file name is refused with the broken rule."""
    with pytest.raises(ValueError, match=rule):
        clean_name(name)


@given(st.text())
def test_cleaning_is_idempotent(name: str) -> None:
    """A clean name has no forbidden characters and does not change when it is cleaned again."""
    try:
        cleaned = clean_name(name)
    except ValueError:
        return
    assert clean_name(cleaned) == cleaned
    assert not {unicodedata.category(c) for c in cleaned} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set("/\\\u202e\u2066") & set(cleaned)


@given(st.text(min_size=1, max_size=300), st.sampled_from(["inline", "attachment"]))
def test_content_disposition_round_trip(name: str, kind: str) -> None:
    """The header field is one line of ASCII, and a standard parser reads the exact name from it."""
    try:
        cleaned = clean_name(name)
    except ValueError:
        return
    value = content_disposition("inline" if kind == "inline" else "attachment", cleaned)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    message = Message()
    message["Content-Disposition"] = value.replace(value[value.index(" filename=") : value.index(" filename*")], "")
    assert message.get_content_disposition() == kind
    assert message.get_filename() == cleaned


def test_no_name() -> None:
    """Without a name the header field is the disposition only."""
    assert content_disposition("inline", None) == "inline"


def test_plain_name_is_escaped() -> None:
    """The plain name has no quotation mark, percent sign or non-ASCII character."""
    value = content_disposition("attachment", 'a"; x="é%22')
    assert value == "attachment; filename=\"a_; x=___22\"; filename*=UTF-8''a%22%3B%20x%3D%22%C3%A9%2522"


def test_plain_name_keeps_ascii() -> None:
    """The plain name keeps all other printable ASCII characters."""
    cleaned = "!#$&+^`|~ ABCXYZ xyz 019 ,;:()[]{}<>@?=*'._-/"
    value = content_disposition("inline", cleaned)
    assert value.startswith(f'inline; filename="{cleaned}"; ')
    assert value.endswith("''!#$&+^`|~%20ABCXYZ%20xyz%20019%20%2C%3B%3A%28%29%5B%5D%7B%7D%3C%3E%40%3F%3D%2A%27._-%2F")
