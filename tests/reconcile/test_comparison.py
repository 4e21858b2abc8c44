"""The comparison of objects with keys, also with a naive model."""

import random
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.model import ListedObject
from broker.core.object_keys import is_ready_key
from broker.core.upload_rules import DAY, UploadPolicy
from broker.reconcile.comparison import Comparison, Counts, Finding, Kind, ListingOrderError
from broker.reconcile.reconciliation import least_age

BEFORE = 1000
NAMES = [
    *(
        f"media/{n:08x}-0000-4000-8000-000000000000{end}"
        for n in range(4)
        for end in (".mp3", ".m4a", ".\u00e9", "", "/")
    ),
    *(normalize("NFD", f"media/{n:08x}-0000-4000-8000-000000000000.\u00e9") for n in range(4)),
    "media/",
    "media/other.txt",
    "media/\u00e9",
    "media/zzz",
]
KEYS = [name for name in NAMES if is_ready_key(name)]


def uuid_of(key: str) -> str:
    """Return the UUID of a key."""
    return key.split("/")[1].split(".", maxsplit=1)[0]


def compared(objects: dict[str, int], keys: list[str], *, page: int = 1000) -> tuple[list[Finding], Counts]:
    """Compare objects, which have these dates, with keys."""
    comparison = Comparison(iter(sorted(set(keys))), BEFORE)
    listed = [ListedObject(key, 1, objects[key]) for key in sorted(objects)]
    found = [finding for i in range(0, len(listed), page) for finding in comparison.add(listed[i : i + page])]
    return [*found, *comparison.finish()], comparison.counts


@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(BEFORE - 2, BEFORE + 2)),
    st.lists(st.sampled_from(KEYS)),
    st.integers(1, 5),
)
def test_decision_equals_the_model(objects: dict[str, int], keys: list[str], page: int) -> None:
    """For any objects, keys and ages the findings are those of a naive model."""
    found, counts = compared(objects, keys, page=page)
    own = [name for name in objects if is_ready_key(name)]
    named = {uuid_of(key) for key in keys}
    free = [name for name in own if uuid_of(name) not in named]
    present = {normalize("NFC", name) for name in own}
    model = {
        *((Kind.FOREIGN, name) for name in objects if name not in own),
        *((Kind.UNREFERENCED, name) for name in free if objects[name] <= BEFORE),
        *((Kind.MISSING, key) for key in keys if normalize("NFC", key) not in present),
    }
    assert sorted((finding.kind, finding.key) for finding in found) == sorted(model)
    assert (counts.objects, counts.recent) == (len(own), sum(objects[name] > BEFORE for name in free))
    assert counts.objects == counts.referenced + counts.recent + counts.unreferenced
    assert counts.unreferenced_bytes == counts.unreferenced
    assert counts.foreign + counts.unreferenced + counts.missing == len(found)


def test_unicode_forms_are_one_key() -> None:
    """R2 may list a key in another normal form of Unicode than that in which the product stored it."""
    key = "media/00000000-0000-4000-8000-000000000000.caf\u00e9"
    assert compared({normalize("NFD", key): 0}, [key])[0] == []
    assert compared({key: 0}, [normalize("NFD", key)])[0] == []


def test_key_with_another_suffix_protects_the_object() -> None:
    """An object whose UUID is in the list is kept, and the key of the list is reported as missing."""
    key = "media/00000000-0000-4000-8000-000000000000.mp3"
    found, counts = compared({key: 0}, [key[:-1]])
    assert ([finding.kind for finding in found], counts.referenced) == ([Kind.MISSING], 1)


def test_unsorted_listing_is_an_error() -> None:
    """A store that lists UUIDs in another order is refused, because its objects would seem unreferenced."""
    comparison = Comparison(iter(KEYS), BEFORE)
    listed = [ListedObject(key, 1, 0) for key in (KEYS[-1], KEYS[0])]
    with pytest.raises(ListingOrderError):
        list(comparison.add(listed))


def test_object_listed_twice_counts_once() -> None:
    """A store that lists an object twice does not double it."""
    comparison = Comparison(iter([]), BEFORE)
    assert len(list(comparison.add([ListedObject(KEYS[0], 1, 0)] * 2))) == 1
    assert comparison.counts.objects == 1


def test_comparison_has_constant_memory() -> None:
    """Neither the objects nor the keys of other uploads are held."""
    comparison = Comparison(iter([]), BEFORE)
    chance = random.Random(1)
    for number in range(100):
        key = f"media/{number:08x}-0000-4000-8000-{chance.getrandbits(48):012x}.mp3"
        list(comparison.add([ListedObject(key, 1, 0)]))
        assert len(comparison._present) == 1


@pytest.mark.parametrize("lifetime", [900, DAY, 7 * DAY])
def test_least_age_exceeds_every_upload_id(lifetime: int) -> None:
    """An object is not deleted before the last upload id of its upload has expired, and a day has passed."""
    created, last_retry = 0, DAY
    assert least_age(UploadPolicy(lifetime=lifetime)) == created + last_retry + lifetime + DAY
