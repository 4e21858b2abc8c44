"""Plans of parts, and the comparison of stored parts with them."""

import re
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.core.limits import MIB, OBJECT_MAX, PART_MIN, PARTS_MAX, PUT_MAX, TIB
from broker.core.model import Part
from broker.core.parts import PREFERRED_PART_SIZE, PartPlan, complete, current, listed, plan
from broker.errors import PartsMissingError, SizeMismatchError

sizes = (
    st.integers(1, 5 * TIB) | st.integers(1, 200 * MIB) | st.integers(1, 100_000).map(lambda n: n * PREFERRED_PART_SIZE)
)
small_plans = st.builds(PartPlan, st.integers(1, 300), st.integers(10, 30))


def stored(parts: PartPlan) -> list[Part]:
    """Return all parts of the plan as a store lists them."""
    return [Part(number, parts.size_of(number), f"{number:032x}") for number in parts.numbers()]


@given(sizes, st.sampled_from([PART_MIN, PREFERRED_PART_SIZE, 256 * MIB]))
@example(1, PREFERRED_PART_SIZE)
@example(PREFERRED_PART_SIZE, PREFERRED_PART_SIZE)
@example(PREFERRED_PART_SIZE + 1, PREFERRED_PART_SIZE)
@example(PARTS_MAX * PREFERRED_PART_SIZE, PREFERRED_PART_SIZE)
@example(PARTS_MAX * PREFERRED_PART_SIZE + 1, PREFERRED_PART_SIZE)
@example(OBJECT_MAX, PREFERRED_PART_SIZE)
@example(5 * TIB, PART_MIN)
def test_plans_keep_all_limits(size: int, preferred: int) -> None:
    """A plan keeps all limits of R2, and covers the object exactly."""
    parts = plan(size, preferred)
    last = parts.count

    assert 1 <= last <= PARTS_MAX
    assert PART_MIN <= parts.part_size <= PUT_MAX
    assert all(parts.size_of(number) == parts.part_size for number in (1, last // 2, last - 1) if 1 <= number < last)
    assert 1 <= parts.size_of(last) <= parts.part_size
    assert parts.part_size * (last - 1) + parts.size_of(last) == size
    assert parts.first_byte_of(last) + parts.size_of(last) == size
    assert (parts.has(1), parts.has(last), parts.has(0), parts.has(last + 1)) == (True, True, False, False)
    assert parts.part_size == preferred or size > PARTS_MAX * preferred
    assert parts.part_size % MIB == 0


@given(small_plans)
def test_parts_are_contiguous(parts: PartPlan) -> None:
    """The parts cover each byte of the object once and in order."""
    covered = [
        byte
        for number in parts.numbers()
        for byte in range(parts.first_byte_of(number), parts.first_byte_of(number) + parts.size_of(number))
    ]
    assert covered == list(range(parts.size))


@given(small_plans, st.randoms())
def test_complete_in_any_order(parts: PartPlan, random: Random) -> None:
    """All planned parts are complete in any order."""
    shuffled = stored(parts)
    random.shuffle(shuffled)
    assert complete(parts, shuffled) == stored(parts)


@given(small_plans, st.data())
def test_missing_parts(parts: PartPlan, data: st.DataObject) -> None:
    """Each missing part is a fault, and the detail lists the numbers."""
    missing = data.draw(st.sets(st.sampled_from(parts.numbers()), min_size=1))
    with pytest.raises(PartsMissingError) as refused:
        complete(parts, [part for part in stored(parts) if part.number not in missing])
    assert [fault.pointer for fault in refused.value.faults] == [f"/parts/{number}" for number in sorted(missing)]
    assert {fault.detail for fault in refused.value.faults} == {"is missing"}
    assert refused.value.detail == (
        f"These of {parts.count} parts are missing: {listed(sorted(missing))}. Send them, then confirm."
    )


@settings(deadline=None)
@given(small_plans, st.data())
def test_wrong_sizes(parts: PartPlan, data: st.DataObject) -> None:
    """Each part of a wrong size is a fault with both sizes."""
    wrong = data.draw(st.dictionaries(st.sampled_from(parts.numbers()), st.integers(0, 40), min_size=1))
    wrong = {number: size for number, size in wrong.items() if size != parts.size_of(number)}
    found = [Part(part.number, wrong.get(part.number, part.size), part.etag) for part in stored(parts)]
    if not wrong:
        assert complete(parts, found) == found
        return
    with pytest.raises(SizeMismatchError) as refused:
        complete(parts, found)
    assert [(fault.pointer, fault.detail) for fault in refused.value.faults] == [
        (f"/parts/{number}", f"must have {parts.size_of(number)} bytes, not {wrong[number]}")
        for number in sorted(wrong)
    ]


@given(small_plans, st.sets(st.integers(1, 50), min_size=1))
def test_extra_parts(parts: PartPlan, beyond: set[int]) -> None:
    """Each part that is not in the plan is a fault."""
    extra = [Part(parts.count + number, 10, "f" * 32) for number in beyond]
    with pytest.raises(SizeMismatchError) as refused:
        complete(parts, [*stored(parts), *extra])
    assert [fault.pointer for fault in refused.value.faults] == [f"/parts/{parts.count + n}" for n in sorted(beyond)]
    assert {fault.detail for fault in refused.value.faults} == {"is not a part of the upload"}


def test_many_faults() -> None:
    """A refusal has at most 100 faults, and its detail lists all numbers as runs."""
    parts = plan(OBJECT_MAX)
    with pytest.raises(PartsMissingError) as refused:
        complete(parts, [])
    assert len(refused.value.faults) == 100
    assert (
        refused.value.detail == f"These of {parts.count} parts are missing: 1-{parts.count}. Send them, then confirm."
    )

    with pytest.raises(SizeMismatchError) as unlike:
        complete(parts, [Part(number, 1, "e") for number in parts.numbers()])
    assert len(unlike.value.faults) == 100
    assert unlike.value.detail == (f"These stored parts do not match the upload: 1-{parts.count}. Send them again.")


def test_long_lists_are_cut() -> None:
    """A list of part numbers has at most five runs, and then ends with "and more"."""
    assert listed([]) == ""
    assert listed([1, 4, 5, 6, 7, 9]) == "1, 4-7, 9"
    assert listed(range(1, 11, 2)) == "1, 3, 5, 7, 9"
    assert listed(range(1, 13, 2)) == "1, 3, 5, 7, 9 and more"


@given(st.sets(st.integers(1, 60)))
def test_lists_round_trip(numbers: set[int]) -> None:
    """The listed runs are exactly the given numbers, unless the list is cut."""
    text = listed(sorted(numbers))
    runs = [tuple(map(int, run.split("-"))) for run in re.findall(r"\d+(?:-\d+)?", text)]
    read = {number for first, *last in runs for number in range(first, (last or [first])[0] + 1)}
    assert read == numbers if not text.endswith(" and more") else read < numbers
    assert len(runs) <= 20


def test_duplicate_parts() -> None:
    """Of several stored parts with one number, the last that fits the plan is used."""
    parts = PartPlan(25, 10)
    right, older, wrong, unplanned = Part(2, 10, "b"), Part(2, 10, "a"), Part(2, 7, "c"), Part(9, 1, "d")

    assert current(parts, [older, right]) == [right]
    assert current(parts, [right, wrong]) == [right]
    assert current(parts, [wrong, right]) == [right]
    assert current(parts, [unplanned, wrong]) == [wrong, unplanned]
