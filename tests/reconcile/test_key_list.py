"""The product's list of keys: forms of lines, refused lines, sorting with bounded memory."""

import io
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.object_keys import is_ready_key
from broker.reconcile import key_list
from broker.reconcile.key_list import LINE_MAX, KeyList, KeyListError

UUID = "11111111-2222-4333-8444-555555555555"
KEY = f"media/{UUID}.mp3"
OLD = f"media/{UUID}.Ein Lied, das \u00e9 hei\u00dft"


@pytest.fixture
def keys() -> Iterator[KeyList]:
    """Return a list whose temporary files are removed at the end."""
    with closing(KeyList()) as made:
        yield made


def read(keys: KeyList, data: bytes | str) -> list[str]:
    """Read a list, and return its keys in order."""
    keys.read(io.BytesIO(data.encode() if isinstance(data, str) else data))
    return list(keys.sorted())


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (KEY, KEY),
        (f"{KEY}\r", KEY),
        (f"\ufeff{KEY}", KEY),
        (f"  \t{KEY}", KEY),
        (OLD, OLD),
        (f'"{KEY}"', KEY),
        (f'{{"key": "{KEY}", "title": "a song", "tags": [1]}}', KEY),
        (f'{{"key": "{KEY} "}}', f"{KEY} "),
        (f'{{"key": "{OLD}"}}', OLD),
    ],
    ids=[
        "plain",
        "CRLF",
        "BOM",
        "indented",
        "JamSync",
        "JSON text",
        "JSON object",
        "blank at the end",
        "JSON, JamSync",
    ],
)
def test_forms_of_a_line(keys: KeyList, line: str, key: str) -> None:
    """A key may be written in each of these forms."""
    assert read(keys, f"{line}\n") == [key]


@pytest.mark.parametrize("line", ["", " \t", "\r", '{"key": null}', "\ufeff"])
def test_lines_without_key(keys: KeyList, line: str) -> None:
    """Blank lines and null are skipped, and do not count."""
    assert (read(keys, f"{line}\n"), keys.count, keys.is_cut) == ([], 0, False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("https://cdn.example/" + KEY + "?X-Amz-Signature=canary", "is a URL. Write only the key"),
        ("NULL", "is not a key: NULL. A key has the form"),
        ("key", "is not a key: key."),
        (UUID, "is not a key"),
        (f"incoming/{UUID}.mp3", "is not a key"),
        (KEY.replace(UUID, UUID.replace("1", "A")), "is not a key"),
        (f"{KEY} ", "ends with a blank"),
        (f"{KEY}\xa0", "ends with a blank"),
        (f"{KEY}\t12", "is not a key"),
        ('{"key": 5}', 'the member "key" must be a text'),
        ('{"file": "x"}', 'has no member "key"'),
        (f'{{"key": "{KEY}"', "must be one JSON document"),
        (f'{{"key": "{KEY}", "key": "{KEY}"}}', "must not contain duplicate keys"),
        (f'"{KEY}",5', "must be one JSON document"),
        (f'["{KEY}"]', "is not a key"),
        ("x" * (LINE_MAX + 1), f"has more than {LINE_MAX} bytes"),
        ("\x1b[31m", "is not a key: ?"),
        (f"\ufeff{KEY}", "is not a key"),
    ],
)
def test_refused_lines(keys: KeyList, line: str, message: str) -> None:
    """Any other line is an error that names the line and the rule, and repeats no URL."""
    with pytest.raises(KeyListError) as refused:
        read(keys, f"{KEY}\n\n{line}\n{KEY}\n")
    text = str(refused.value)
    assert text.startswith("line 3")
    assert message in text
    assert ("canary" in text, text.isprintable(), len(text) < 250) == (False, True, True)


@pytest.mark.parametrize("data", [KEY.encode("utf-16"), b"\xff", b"\x1f\x8b\x08\x00"], ids=["UTF-16", "byte", "gzip"])
def test_other_encodings(keys: KeyList, data: bytes) -> None:
    """A list that is not UTF-8 is refused."""
    with pytest.raises(KeyListError, match="line 1 is not UTF-8"):
        read(keys, data)


def test_cut_list_is_noticed(keys: KeyList) -> None:
    """A list whose last line has no end may be cut off."""
    assert read(keys, f"{KEY}\n{KEY[:-1]}") == [KEY[:-1], KEY]
    assert (keys.count, keys.is_cut) == (2, True)


def test_memory_is_bounded(keys: KeyList, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that exceeds one run is sorted in several, whose keys are merged without duplicates."""
    monkeypatch.setattr(key_list, "RUN_BYTES", 1000)
    written = [f"media/{UUID[:-4]}{number * 7919 % 10_000:04}.mp3" for number in range(500)]
    assert read(keys, "".join(f"{key}\n" for key in written + written[:99])) == sorted(written)
    assert (keys.count, len(keys._runs) > 10) == (599, True)


suffixes = st.text(max_size=8).filter(lambda text: is_ready_key(f"media/{UUID}.{text}") and text == text.rstrip())


@given(st.lists(suffixes))
def test_order_is_that_of_utf8(found: list[str]) -> None:
    """Keys are sorted by their bytes in UTF-8, as stores list them."""
    written = [f"media/{UUID}.{suffix}" for suffix in found]
    with closing(KeyList()) as keys:
        assert read(keys, "".join(f"{key}\n" for key in written)) == sorted(set(written), key=str.encode)
