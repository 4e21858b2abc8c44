"""The sample of a passing file: the same decision as for a stored file, however its bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.content_sample import ContentSample
from broker.core.media import MEDIA_TYPE_BY_NAME, SNIFF_BYTES
from broker.core.model import FileSpec
from broker.errors import BrokerError, ContentMismatchError, EmptyFileError
from tests.small_files import id3, mp3

MPEG = MEDIA_TYPE_BY_NAME["audio/mpeg"]
PNG = MEDIA_TYPE_BY_NAME["image/png"]
FILES = {
    "short": mp3(100),
    "exactly the sample": mp3(SNIFF_BYTES),
    "long": mp3(3 * SNIFF_BYTES),
    "behind a tag within the sample": id3(1000) + mp3(2 * SNIFF_BYTES),
    "behind a tag that ends with the sample": id3(SNIFF_BYTES - 20) + mp3(2 * SNIFF_BYTES),
    "behind a long tag": id3(50_000) + mp3(3 * SNIFF_BYTES),
    "behind a long tag, cut": id3(50_000) + mp3(300),
}
BAD = {
    "text": b"<html>" * 4000,
    "text behind a long tag": id3(50_000) + b"<html>" * 4000,
    "a tag alone": id3(50_000),
    "a tag that ends behind the file": id3(50_000)[:30_000],
}


def decision(content: bytes, *cuts: int, size_max: int | None = None) -> BrokerError | None:
    """Return the error for a file whose bytes arrive in pieces, cut at these offsets."""
    sample = ContentSample(MPEG, size_max or len(content))
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(content)], strict=True):
        sample.add(content[start:end])
    assert sample.size == len(content)
    try:
        sample.check(FileSpec("a.mp3", MPEG, len(content)))
    except BrokerError as error:
        return error
    return None


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize("size_max", [None, 2**40])
def test_a_good_file_is_accepted(content: bytes, size_max: int | None) -> None:
    """A file that has its type is accepted, although its size was not known before its end."""
    assert decision(content, size_max=size_max) is None


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
@pytest.mark.parametrize("size_max", [None, 2**40])
def test_another_file_is_refused(content: bytes, size_max: int | None) -> None:
    """A file that does not have its type is refused."""
    assert isinstance(decision(content, size_max=size_max), ContentMismatchError)


@given(st.sampled_from([*FILES.values(), *BAD.values()]), st.lists(st.integers(0, 30_000), max_size=6))
def test_cuts_change_nothing(content: bytes, cuts: list[int]) -> None:
    """The decision does not depend on how the bytes are cut."""
    found = decision(content, *(min(cut, len(content)) for cut in cuts))
    assert type(found) is type(decision(content))


def test_an_empty_file_is_refused() -> None:
    """A file without bytes has an error of its own."""
    assert isinstance(decision(b""), EmptyFileError)


def test_a_type_without_tags_has_no_second_sample() -> None:
    """Only types that may begin with a tag are read behind it."""
    sample = ContentSample(PNG, 2**30)
    sample.add(id3(50_000))
    with pytest.raises(ContentMismatchError):
        sample.check(FileSpec("a.png", PNG, 50_010))
