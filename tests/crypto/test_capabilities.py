"""Capabilities: a sealed one opens until it expires, and any other text is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, Upload
from broker.crypto.capabilities import CAPABILITY_MAX, Capabilities, Capability
from broker.crypto.upload_ids import UploadIds

OLD, NEW = b"o" * 32, b"n" * 32
NOW = 1_800_000_000
SESSION = Capability("user-1", NOW + 60)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=63), st.uuids().map(str) | st.just(""))
def test_sealed_capability_opens_until_it_expires(subject: str, uuid: str) -> None:
    """A sealed capability opens as it was until it expires, and fits into a path."""
    capability = Capability(subject, NOW + 60, uuid)
    text = Capabilities([NEW]).seal(capability)
    assert Capabilities([NEW]).open(text, now=NOW + 59.9) == capability
    assert Capabilities([NEW]).open(text, now=NOW + 60) is None
    assert len(text) <= CAPABILITY_MAX


def test_every_listed_secret_opens() -> None:
    """A rotation of secrets ends no session."""
    text = Capabilities([OLD]).seal(SESSION)
    assert Capabilities([NEW, OLD]).open(text, now=NOW) == SESSION
    assert Capabilities([NEW]).open(text, now=NOW) is None


def test_changed_capability_does_not_open() -> None:
    """A capability with any other bit or length does not open."""
    capabilities = Capabilities([NEW])
    text = capabilities.seal(SESSION)
    for index, letter in enumerate(text):
        assert capabilities.open(text[:index] + ("A" if letter != "A" else "B") + text[index + 1 :], now=NOW) is None
        assert capabilities.open(text[:index], now=NOW) is None


@pytest.mark.parametrize("text", ["", "A", "é" * 40, "=" * 44, "A" * 44, "A" * CAPABILITY_MAX, "A" * 2000, "a.b.c"])
def test_other_text_does_not_open(text: str) -> None:
    """Any other text does not open."""
    assert Capabilities([NEW]).open(text, now=NOW) is None


def test_upload_id_is_not_a_capability() -> None:
    """An upload id does not open as a capability, nor a capability as an upload id."""
    file = FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 10)
    upload_id = UploadIds([NEW]).seal(Upload("0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55", "user-1", file, NOW + 60))
    assert Capabilities([NEW]).open(upload_id, now=NOW) is None
    assert UploadIds([NEW]).open(Capabilities([NEW]).seal(SESSION)) is None
