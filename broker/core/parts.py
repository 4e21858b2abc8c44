"""How a large object is cut into parts, and whether the parts that are stored are those of the plan.

R2 wants all parts but the last to be of one size, and says so only when the upload is completed. So the size is fixed
when the upload is created, and every part's URL signs its length.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from broker.error_texts import LIST_MORE, Detail, Rule
from broker.errors import Fault, PartsMissingError, SizeMismatchError

from .limits import MIB, PARTS_MAX
from .model import Part

PREFERRED: Final = 16 * MIB
"""Bytes of a part, unless it takes larger ones to need no more than 10 000."""

_NAMED_MAX: Final = 100  # numbers that a refusal names one by one
_RUNS_MAX: Final = 5  # runs of numbers in a text


@dataclass(frozen=True, slots=True)
class PartPlan:
    """An object of ``size`` bytes in parts of ``part_size`` bytes, the last one perhaps smaller, numbered from 1."""

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """How many parts there are."""
        return -(-self.size // self.part_size)

    def has(self, number: int) -> bool:
        """Whether there is a part ``number``."""
        return 1 <= number <= self.count

    def size_of(self, number: int) -> int:
        """Bytes of the part ``number``."""
        return min(self.part_size, self.size - self.first_byte_of(number))

    def first_byte_of(self, number: int) -> int:
        """Where in the object the part ``number`` begins."""
        return (number - 1) * self.part_size

    def sizes(self) -> dict[int, int]:
        """The bytes of each part, by its number, in order."""
        sizes = dict.fromkeys(self.numbers(), self.part_size)
        sizes[self.count] = self.size_of(self.count)
        return sizes

    def numbers(self) -> range:
        """All part numbers, in order."""
        return range(1, self.count + 1)


def plan(size: int, preferred: int = PREFERRED) -> PartPlan:
    """Parts of ``preferred`` bytes, or of as many whole MiB as it takes to need no more than 10 000 parts."""
    least = -(-size // PARTS_MAX)
    return PartPlan(size, max(preferred, -(-least // MIB) * MIB))


def current(parts_plan: PartPlan, stored: Iterable[Part]) -> list[Part]:
    """One stored part for each number, in order: of several that a store lists the last one that fits the plan."""
    sizes = parts_plan.sizes()
    found: dict[int, Part] = {}
    for part in stored:
        if sizes.get(part.number) == part.size or part.number not in found:
            found[part.number] = part
    return [found[number] for number in sorted(found)]


def complete(parts_plan: PartPlan, stored: Sequence[Part]) -> list[Part]:
    """The stored parts in the order of the plan, when they are exactly its parts.

    Raises ``PartsMissingError`` or ``SizeMismatchError``, which name the numbers. To mend it, send those parts again.
    """
    sizes = parts_plan.sizes()
    found = {part.number: part for part in stored}
    extra = sorted(found.keys() - sizes.keys())
    wrong = sorted(n for n, part in found.items() if sizes.get(n, part.size) != part.size)
    if extra or wrong:
        faults = [_fault(n, Rule.PART_SIZE.format(declared=sizes[n], stored=found[n].size)) for n in wrong]
        faults += [_fault(number, Rule.PART_UNKNOWN) for number in extra]
        raise SizeMismatchError(
            Detail.PARTS_MISMATCH.format(numbers=listed([*wrong, *extra])), faults=faults[:_NAMED_MAX]
        )
    missing = [number for number in sizes if number not in found]
    if missing:
        raise PartsMissingError(
            Detail.PARTS_MISSING.format(count=parts_plan.count, missing=listed(missing)),
            faults=[_fault(number, Rule.PART_MISSING) for number in missing[:_NAMED_MAX]],
        )
    return [found[number] for number in sizes]


def listed(numbers: Iterable[int]) -> str:
    """Sorted numbers with their runs drawn together, as in ``1, 4-7, 9``; cut after five runs."""
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
