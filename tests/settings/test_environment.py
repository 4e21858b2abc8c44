"""Values out of an environment: units, files, choices, lists."""

from enum import StrEnum
from pathlib import Path

import pytest

from broker.settings.environment import Environment


class Colour(StrEnum):
    """For choosing."""

    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("", 7), (" ", 7), ("1", 1), ("9B", 9)),
        *(("1KiB", 2**10), ("2MiB", 2**21), ("1GiB", 2**30), ("1TiB", 2**40)),
        *(("3KB", 3000), ("2 MB", 2_000_000), ("1GB", 10**9), ("1TB", 10**12)),
    ],
)
def test_a_size_is_in_bytes_whatever_its_unit(text: str, expected: int) -> None:
    env = Environment({"SIZE": text})
    assert env.size("SIZE", 7, least=1, most=2**40) == expected
    assert env.faults == []


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600), ("2d", 172_800)])
def test_a_duration_is_in_seconds_whatever_its_unit(text: str, expected: int) -> None:
    assert Environment({"TIME": text}).duration("TIME", 7, least=1, most=10**6) == expected


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", "0x10", "1 m s", "1mib", "٣", "9" * 20, "five", "1M"])
def test_what_is_no_quantity_is_a_fault_with_an_example(text: str) -> None:
    env = Environment({"SIZE": text})
    assert env.size("SIZE", 7, least=1, most=10) == 7
    assert env.faults == ["SIZE must be a size such as 64MiB"]


@pytest.mark.parametrize("text", ["0", "11"])
def test_a_quantity_out_of_range_is_a_fault_with_its_bounds(text: str) -> None:
    env = Environment({"TIME": text})
    env.duration("TIME", 7, least=1, most=10)
    assert env.faults == ["TIME must be between 1 and 10 seconds"]


def test_a_choice_is_one_of_its_words() -> None:
    assert Environment({"C": "blue"}).choice("C", Colour.RED) is Colour.BLUE
    env = Environment({"C": "Blue"})
    assert env.choice("C", Colour.RED) is Colour.RED
    assert env.faults == ["C must be one of red, blue"]


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hidden\n")
    assert Environment({"S_FILE": str(file)}).secret("S") == "hidden"
    assert Environment({"S": "shown"}).secret("S") == "shown"


def test_a_secret_in_two_places_or_in_none_that_can_be_read_is_a_fault(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    env = Environment(
        {"S": "a", "S_FILE": "b", "T_FILE": str(tmp_path / "none"), "U_FILE": str(binary), "V_FILE": "\0"}
    )
    assert [env.secret(name) for name in "STUV"] == [""] * 4
    assert [fault.split(" ")[0] for fault in env.faults] == ["S", "T_FILE", "U_FILE", "V_FILE"]


def test_a_list_leaves_out_what_is_empty() -> None:
    assert Environment({"L": " a, ,b,"}).items("L") == ("a", "b")
