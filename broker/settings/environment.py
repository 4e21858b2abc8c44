"""Reads environment variables: text, secrets, numbers, sizes, durations, choices and lists.

Rules of this module
- Faults are collected, so that all of them can be reported at once.
- A fault names the variable and the rule. It never contains the value.
- An empty value counts as unset. A secret may also come from the file that ``NAME_FILE`` names.
- Blanks, line ends and a byte order mark around a value are removed. Other remains of a file's syntax are faults.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from broker.core.upload_rules import DAY

from .raw_values import BLANK, broken_rule, has_comment
from .variables import Variable

_BYTES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # IEC 80000-13
_UNITS = {
    "size": _BYTES | {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    "number": {"": 1},
    "duration": {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY},
}
_EXAMPLES = {"size": "64MiB", "number": "3000", "duration": "15m"}
_UNIT_NAMES = {"size": " bytes", "number": "", "duration": " seconds"}
_QUANTITY = re.compile(r"([0-9]{1,15})[ ]?([A-Za-z]*)", re.ASCII)

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)


class SettingsError(Exception):
    """The environment breaks rules. ``faults`` has one line for each broken rule."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Environment:
    """Environment variables, read by the rules of a ``table``. Reading collects ``faults`` and ``warnings``."""

    def __init__(self, variables: Mapping[str, str], table: Mapping[str, Variable]) -> None:
        self._variables = variables
        self._table = table
        self.faults: list[str] = []
        self.warnings: list[str] = []

    def fault(self, name: str, rule: str) -> None:
        """Record that the variable ``name`` breaks ``rule``."""
        self.faults.append(f"{name} {rule}")

    def text(self, name: str) -> str:
        """Return the value without surrounding whitespace, or the default."""
        return self._stripped(name) or self._table[name].default

    def secret(self, name: str) -> str:
        """Return the value of ``name``, or the content of the file that ``NAME_FILE`` names."""
        value, path = self._stripped(name, is_secret=True), self._stripped(f"{name}_FILE")
        if value and path:
            self.fault(name, f"and {name}_FILE must not both be set")
            return ""
        if path:
            value = self._content(f"{name}_FILE", path)
        if has_comment(value):
            self.warnings.append(f"{name} has a # after a blank: if a comment follows the value, remove it")
        return value

    def checked(self, name: str, value: str, rule: Callable[[str], T]) -> T | None:
        """Return ``rule(value)``, or ``None`` when the value is unset or ``rule`` raises ``ValueError``, a fault."""
        if not value:
            return None
        try:
            return rule(value)
        except ValueError as error:
            self.fault(name, str(error))
            return None

    def quantity(self, name: str, *, least: int | None = None, most: int | None = None) -> int:
        """Return a number, a size in bytes or a duration in seconds; ``least`` and ``most`` replace the table's bounds.

        The value is a whole number, with or without a unit of its kind (``64MiB``, ``15m``).
        """
        variable = self._table[name]
        default = _parse_quantity(variable.kind, variable.default) or 0
        value = self._stripped(name)
        if not value:
            return default
        quantity = _parse_quantity(variable.kind, value)
        low = variable.least if least is None else least
        high = variable.most if most is None else most
        if quantity is None:
            self.fault(name, f"must be a {variable.kind} such as {_EXAMPLES[variable.kind]}")
        elif not low <= quantity <= high:
            self.fault(name, f"must be between {low} and {high}{_UNIT_NAMES[variable.kind]}")
        else:
            return quantity
        return default

    def choice(self, name: str, values: type[Choice]) -> Choice:
        """Return one of the members of an enumeration."""
        value = self.text(name)
        if value not in {*values}:
            self.fault(name, f"must be one of {', '.join(values)}")
            return values(self._table[name].default)
        return values(value)

    def items(self, name: str, value: str | None = None) -> tuple[str, ...]:
        """Return the items of a comma-separated list, without whitespace around them and without empty items.

        ``value`` replaces the variable's value, and is a secret.
        """
        text = self.text(name) if value is None else value
        items = tuple(item.strip() for item in text.split(",") if item.strip())
        broken = [rule for item in items if (rule := broken_rule(item, is_secret=value is not None))]
        if broken:
            self.fault(name, broken[0])
            return ()
        return items

    def check_names(self) -> None:
        """Record a fault for each variable of the table whose name has remains of a file's syntax."""
        for given in self._variables:
            name = given.strip(BLANK).removeprefix("export").strip(BLANK)
            if name != given and name in self._table:
                self.fault(name, "must be set without export, blanks or a byte order mark before or after its name")

    def _content(self, name: str, path: str) -> str:
        """Return the text of the file that the variable ``name`` names."""
        try:
            text = Path(path).read_text(encoding="utf-8").strip(BLANK)
        except (OSError, ValueError):
            self.fault(name, "must name a readable file of UTF-8 text")
            return ""
        if rule := broken_rule(text, is_secret=True):
            self.fault(name, f"names a file whose text {rule}")
            return ""
        return text

    def _stripped(self, name: str, *, is_secret: bool = False) -> str:
        value = self._variables.get(name, "").strip(BLANK)
        is_text = value == value.encode(errors="replace").decode()  # os.environ holds other bytes as surrogates
        rule = broken_rule(value, is_secret=is_secret) if is_text else "must be UTF-8 text"
        if rule:
            self.fault(name, rule)
            return ""
        return value


def seconds_of(text: str) -> int | None:
    """Return a duration in seconds, with or without a unit; ``None`` if ``text`` is not a duration."""
    return _parse_quantity("duration", text)


def _parse_quantity(kind: str, text: str) -> int | None:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _UNITS[kind]:
        return None
    return int(match[1]) * _UNITS[kind][match[2]]
