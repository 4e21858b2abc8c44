"""Reading environment variables: units, files, choices and lists."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import pytest

from broker.settings.environment import Environment
from broker.settings.variables import Variable


class Colour(StrEnum):
    """An enumeration to choose from."""

    RED = "red"
    BLUE = "blue"


TABLE = {
    variable.name: variable
    for variable in (
        Variable("SIZE", "size", "", "7", 1, 2**40),
        Variable("TIME", "duration", "", "7", 1, 10**6),
        Variable("COUNT", "number", "", "7", 1, 10),
        Variable("COLOUR", "choice", "", "red"),
        Variable("LIST", "list", ""),
    )
}


def environment(variables: Mapping[str, str]) -> Environment:
    """Return an environment with a table of one variable of each kind."""
    return Environment(variables, TABLE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("", 7), (" ", 7), ("1", 1), ("9B", 9)),
        *(("1KiB", 2**10), ("2MiB", 2**21), ("1GiB", 2**30), ("1TiB", 2**40)),
        *(("3KB", 3000), ("2 MB", 2_000_000), ("1GB", 10**9), ("1TB", 10**12)),
    ],
)
def test_sizes_are_bytes(text: str, expected: int) -> None:
    """A size is returned in bytes for every unit."""
    env = environment({"SIZE": text})
    assert env.quantity("SIZE") == expected
    assert env.faults == []


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600), ("2d", 172_800)])
def test_durations_are_seconds(text: str, expected: int) -> None:
    """A duration is returned in seconds for every unit."""
    assert environment({"TIME": text}).quantity("TIME") == expected


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", "0x10", "1 m s", "1mib", "٣", "9" * 20, "five", "1M"])
def test_malformed_quantities_are_faults(text: str) -> None:
    """A value that is not a quantity is a fault with an example, and the default is returned."""
    env = environment({"SIZE": text})
    assert env.quantity("SIZE", most=10) == 7
    assert env.faults == ["SIZE must be a size such as 64MiB"]


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("TIME", "0", "must be between 1 and 10 seconds"),
        ("TIME", "11", "must be between 1 and 10 seconds"),
        ("SIZE", "11", "must be between 1 and 10 bytes"),
        ("COUNT", "11", "must be between 1 and 10"),
    ],
)
def test_quantities_out_of_range_are_faults(name: str, text: str, rule: str) -> None:
    """A quantity out of range is a fault with the bounds and their unit, and the default is returned."""
    env = environment({name: text})
    assert env.quantity(name, most=10) == 7
    assert env.faults == [f"{name} {rule}"]


def test_bounds_may_be_replaced() -> None:
    """The bounds of a call replace those of the table."""
    env = environment({"COUNT": "11"})
    assert env.quantity("COUNT", least=11, most=11) == 11
    assert env.faults == []
    env.quantity("COUNT", least=12)
    assert env.faults == ["COUNT must be between 12 and 10"]


def test_choices() -> None:
    """A choice is a member of its enumeration; another value is a fault, and the default is returned."""
    assert environment({"COLOUR": "blue"}).choice("COLOUR", Colour) is Colour.BLUE
    env = environment({"COLOUR": "Blue"})
    assert env.choice("COLOUR", Colour) is Colour.RED
    assert env.faults == ["COLOUR must be one of red, blue"]


def test_secrets_from_files(tmp_path: Path) -> None:
    """A secret is the variable's value or the content of the named file."""
    file = tmp_path / "secret"
    file.write_text("hidden\n")
    assert environment({"S_FILE": str(file)}).secret("S") == "hidden"
    assert environment({"S": "shown"}).secret("S") == "shown"


def test_faulty_secret_files(tmp_path: Path) -> None:
    """A secret that is set twice, or whose file cannot be read, is a fault."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    env = environment(
        {"S": "a", "S_FILE": "b", "T_FILE": str(tmp_path / "none"), "U_FILE": str(binary), "V_FILE": "\0"}
    )
    assert [env.secret(name) for name in "STUV"] == [""] * 4
    assert [fault.split(" ")[0] for fault in env.faults] == ["S", "T_FILE", "U_FILE", "V_FILE"]


def test_lists_omit_empty_items() -> None:
    """Empty items and whitespace around items are left out of a list."""
    assert environment({"LIST": " a, ,b,"}).items("LIST") == ("a", "b")
