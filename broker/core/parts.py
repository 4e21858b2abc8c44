"""The parts of a multipart upload: their plan, and the comparison of stored parts with it.

R2 requires that all parts but the last have the same size, and checks it only in CompleteMultipartUpload
(developers.cloudflare.com/r2/objects/multipart-objects). So the size is fixed when the upload is created, and every
part's URL signs its length.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from broker.error_texts import LIST_MORE, Detail, Rule
from broker.errors import Fault, PartsMissingError, SizeMismatchError

from .limits import MIB, PART_MIN, PARTS_MAX, PUT_MAX
from .model import Part

PREFERRED_PART_SIZE: Final = 8 * MIB
"""Bytes of a part. Files that would need more than 10 000 such parts get larger parts."""

UNSIZED: Final = 0
"""The size of a file in bytes whose client did not declare it. No file that was declared is empty."""

_FAULTS_MAX: Final = 100
"""Maximum number of faults in one error."""

_RUNS_MAX: Final = 5
"""Maximum number of runs in a list of part numbers."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """An object of ``size`` bytes in parts of ``part_size`` bytes, numbered from 1. The last part may be smaller."""

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """The number of parts."""
        return -(-self.size // self.part_size)

    def has(self, number: int) -> bool:
        """Return whether a part has this number."""
        return 1 <= number <= self.count

    def size_of(self, number: int) -> int:
        """Return the size of the part ``number`` in bytes."""
        return min(self.part_size, self.size - self.first_byte_of(number))

    def first_byte_of(self, number: int) -> int:
        """Return the offset of the part ``number`` in the object, in bytes."""
        return (number - 1) * self.part_size

    def sizes(self) -> dict[int, int]:
        """Return the size of each part in bytes by its number, in order."""
        sizes = dict.fromkeys(self.numbers(), self.part_size)
        sizes[self.count] = self.size_of(self.count)
        return sizes

    def numbers(self) -> range:
        """Return all part numbers, in order."""
        return range(1, self.count + 1)


def plan(size: int, preferred: int = PREFERRED_PART_SIZE) -> PartPlan:
    """Plan parts of ``preferred`` bytes, or of the fewest whole MiB that keep the number of parts within 10 000."""
    least = -(-size // PARTS_MAX)
    return PartPlan(size, max(preferred, -(-least // MIB) * MIB))


def stock_plan(size: int, part_size: int | None = None) -> PartPlan:
    """Plan the parts that Uppy makes on its own, or those of ``part_size`` bytes.

    Without the option ``getChunkSize`` its parts have 5 MiB, or as many bytes as 10 000 parts of the file need. Raises
    ``ValueError`` with the rule that ``part_size`` breaks.
    """
    least = max(PART_MIN, -(-size // PARTS_MAX))
    if part_size is not None and not least <= part_size <= PUT_MAX:
        raise ValueError(Rule.PART_SIZE_RANGE.format(least=least, limit=PUT_MAX))
    return PartPlan(size, part_size or least)


def stored_plan(stored: Sequence[Part]) -> PartPlan:
    """Return the plan of an unsized file from its stored parts: their sum, in parts of the size of the first.

    A first part so small that the plan would need more than 10 000 parts does not count: it is a wrong part.
    """
    size = max(1, sum(part.size for part in stored))
    return PartPlan(size, max(-(-size // PARTS_MAX), stored[0].size if stored else 1))


def current(parts_plan: PartPlan, stored: Iterable[Part]) -> list[Part]:
    """Return one stored part for each number, in order.

    Of several parts with one number, it is the last whose size fits the plan, or the first if none fits.
    """
    sizes = parts_plan.sizes()
    found: dict[int, Part] = {}
    for part in stored:
        if sizes.get(part.number) == part.size or part.number not in found:
            found[part.number] = part
    return [found[number] for number in sorted(found)]


def complete(parts_plan: PartPlan, stored: Sequence[Part]) -> list[Part]:
    """Return the stored parts in the order of the plan, if they are exactly its parts.

    Raises ``PartsMissingError`` or ``SizeMismatchError`` with the numbers of the parts that must be sent again.
    """
    sizes = parts_plan.sizes()
    found = {part.number: part for part in stored}
    extra = sorted(found.keys() - sizes.keys())
    wrong = sorted(n for n, part in found.items() if sizes.get(n, part.size) != part.size)
    if extra or wrong:
        faults = [_fault(n, Rule.PART_SIZE.format(declared=sizes[n], stored=found[n].size)) for n in wrong]
        faults += [_fault(number, Rule.PART_UNKNOWN) for number in extra]
        raise SizeMismatchError(
            Detail.PARTS_MISMATCH.format(numbers=listed([*wrong, *extra])), faults=faults[:_FAULTS_MAX]
        )
    missing = [number for number in sizes if number not in found]
    if missing:
        raise PartsMissingError(
            Detail.PARTS_MISSING.format(count=parts_plan.count, missing=listed(missing)),
            faults=[_fault(number, Rule.PART_MISSING) for number in missing[:_FAULTS_MAX]],
        )
    return [found[number] for number in sizes]


def listed(numbers: Iterable[int]) -> str:
    """Format sorted numbers as runs, such as ``1, 4-7, 9``. A list of more than five runs is cut."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return ", ".join(words[:_RUNS_MAX]) + (LIST_MORE if len(words) > _RUNS_MAX else "")


def _fault(number: int, detail: str) -> Fault:
    return Fault(f"/parts/{number}", detail)
