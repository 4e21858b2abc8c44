"""Reads values out of an environment: text, secrets, sizes, durations, choices, lists.

Rules of this module
- A fault is collected, never raised at once: whoever configures a service wants the whole list.
- A fault names the variable and the rule and never prints the value.
- An empty value is an unset one. Every secret may come from a file named by ``NAME_FILE`` instead.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

_BYTES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # IEC 80000-13
_UNITS = {
    "size": _BYTES | {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    "number": {"": 1},
    "duration": {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400},
}
_EXAMPLES = {"size": "64MiB", "number": "3000", "duration": "15m"}
_NAMES = {"size": " bytes", "number": "", "duration": " seconds"}
_QUANTITY = re.compile(r"([0-9]{1,15})[ ]?([A-Za-z]*)", re.ASCII)

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)


class SettingsError(Exception):
    """The environment breaks a rule. ``faults`` has one line for each, all of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Environment:
    """One reading of an environment. ``faults`` and ``warnings`` grow as names are read."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.faults: list[str] = []
        self.warnings: list[str] = []

    def fault(self, name: str, rule: str) -> None:
        """Collect that the variable ``name`` breaks ``rule``."""
        self.faults.append(f"{name} {rule}")

    def text(self, name: str, default: str = "") -> str:
        """The value without surrounding blanks, or ``default``."""
        value = self._variables.get(name, "").strip()
        if value != value.encode(errors="replace").decode():  # bytes that are not UTF-8 stand as lone surrogates
            self.fault(name, "must be UTF-8 text")
            return default
        return value or default

    def secret(self, name: str) -> str:
        """The value of ``name``, or the content of the file that ``NAME_FILE`` names."""
        value, path = self.text(name), self.text(f"{name}_FILE")
        if not path:
            return value
        if value:
            self.fault(name, f"and {name}_FILE are both set; keep one")
            return ""
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            self.fault(f"{name}_FILE", "names a file that cannot be read as UTF-8 text")
            return ""

    def checked(self, name: str, value: str, rule: Callable[[str], T]) -> T | None:
        """``rule(value)``; a ``ValueError`` of it becomes a fault of ``name``. ``None`` when unset or at fault."""
        if not value:
            return None
        try:
            return rule(value)
        except ValueError as error:
            self.fault(name, str(error))
            return None

    def size(self, name: str, default: int, *, least: int, most: int) -> int:
        """Bytes: a whole number with or without a unit (``64MiB``)."""
        return self._quantity("size", name, default, least, most)

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number."""
        return self._quantity("number", name, default, least, most)

    def duration(self, name: str, default: int, *, least: int, most: int) -> int:
        """Seconds: a whole number with or without a unit (``15m``)."""
        return self._quantity("duration", name, default, least, most)

    def choice(self, name: str, default: Choice) -> Choice:
        """One of the members of the default's enumeration."""
        values = type(default)
        value = self.text(name, default)
        if value not in {*values}:
            self.fault(name, f"must be one of {', '.join(values)}")
            return default
        return values(value)

    def items(self, name: str, value: str | None = None) -> tuple[str, ...]:
        """The items of a comma-separated list, blanks and empty items left out."""
        text = self.text(name) if value is None else value
        return tuple(item.strip() for item in text.split(",") if item.strip())

    def _quantity(self, kind: str, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name)
        if not value:
            return default
        units, match = _UNITS[kind], _QUANTITY.fullmatch(value)
        if match is None or match[2] not in units:
            self.fault(name, f"must be a {kind} such as {_EXAMPLES[kind]}")
            return default
        quantity = int(match[1]) * units[match[2]]
        if not least <= quantity <= most:
            self.fault(name, f"must be between {least} and {most}{_NAMES[kind]}")
            return default
        return quantity
