"""Names of files, and the header that carries them."""

import unicodedata
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.disposition import FILENAME_MAX, clean_name, content_disposition


@pytest.mark.parametrize(
    ("given_name", "kept"),
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
def test_a_name_is_kept_without_what_deceives(given_name: str, kept: str) -> None:
    assert clean_name(given_name) == kept


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
        ("\U0001d160" * (FILENAME_MAX // 3 + 1), "at most 255 characters in Unicode NFC"),  # which makes three of one
    ],
)
def test_a_name_that_cannot_be_kept_is_refused_with_its_rule(name: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        clean_name(name)


@given(st.text())
def test_a_kept_name_is_clean_and_stays_as_it_is(name: str) -> None:
    try:
        kept = clean_name(name)
    except ValueError:
        return
    assert clean_name(kept) == kept
    assert not {unicodedata.category(c) for c in kept} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set("/\\\u202e\u2066") & set(kept)


@given(st.text(min_size=1, max_size=300), st.sampled_from(["inline", "attachment"]))
def test_the_header_is_one_line_of_ascii_and_gives_the_name_back(name: str, kind: str) -> None:
    try:
        kept = clean_name(name)
    except ValueError:
        return
    value = content_disposition("inline" if kind == "inline" else "attachment", kept)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    message = Message()
    message["Content-Disposition"] = value.replace(value[value.index(" filename=") : value.index(" filename*")], "")
    assert message.get_content_disposition() == kind
    assert message.get_filename() == kept


def test_without_a_name_the_header_is_the_disposition_alone() -> None:
    assert content_disposition("inline", None) == "inline"


def test_the_plain_name_cannot_end_its_own_quotes() -> None:
    value = content_disposition("attachment", 'a"; x="é%22')
    assert value == "attachment; filename=\"a_; x=___22\"; filename*=UTF-8''a%22%3B%20x%3D%22%C3%A9%2522"


def test_every_other_letter_stays_in_the_plain_name() -> None:
    kept = "!#$&+^`|~ ABCXYZ xyz 019 ,;:()[]{}<>@?=*'._-/"
    value = content_disposition("inline", kept)
    assert value.startswith(f'inline; filename="{kept}"; ')
    assert value.endswith("''!#$&+^`|~%20ABCXYZ%20xyz%20019%20%2C%3B%3A%28%29%5B%5D%7B%7D%3C%3E%40%3F%3D%2A%27._-%2F")
