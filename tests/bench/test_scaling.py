"""Prices and worked examples follow from the calls of each operation, the price list and the measured figures."""

import math

import pytest

from bench import prices, scaling
from bench.prices import MIX, Operation, operations, table, upload_of_the_mix
from broker.core.limits import GIB
from broker.service.promotion import RANGE

WORKER = scaling.Worker(cpu=0.002, uploads=100, memory=50)


def test_price_is_the_sum_of_calls() -> None:
    """Each call of an operation counts at the price of its class."""
    found = Operation("confirm", {"HeadObject": 2, "CopyObject": 1, "AbortMultipartUpload": 5})
    assert found.price == 4.5 + 2 * 0.36
    assert "| confirm | 5 AbortMultipartUpload, CopyObject, 2 HeadObject | 1 | 2 | 5.22 |" in table([found])


def test_every_operation_of_the_mix_has_calls() -> None:
    """A name in the mix that no operation has would lower the price."""
    assert set(MIX) <= {each.name for each in operations()}


def test_mix_is_the_sum_of_client_and_broker() -> None:
    """The calls of clients and those of the broker together are all calls of an upload."""
    client, broker, both = (
        upload_of_the_mix(broker=False),
        upload_of_the_mix(client=False),
        upload_of_the_mix(),
    )
    assert client["A"] == pytest.approx(0.9 + 0.1 * prices.PARTS)
    assert {name: client[name] + broker[name] for name in both} == pytest.approx(both)


def test_ranges_are_those_of_the_code() -> None:
    """The file of the table, 5.5 GiB, is promoted in as many ranges as the table says."""
    assert math.ceil(5.5 * GIB / RANGE) == prices.RANGES


def test_millions_are_billed_whole() -> None:
    """R2 bills whole millions of operations above the included ones, and nothing below them."""
    small, large = (scaling.Example(uploads, WORKER) for uploads in (10_000, 1_000_000))
    assert small.price("A") == small.price("B") == 0
    assert large.price("A") == 4.5 * math.ceil(large.operations("A") / 1e6 - 1)


def test_workers_follow_from_the_larger_need() -> None:
    """Workers follow from CPU or from the confirms of one worker, and two are the least."""
    by_cores, by_confirms = scaling.Worker(1.0, 1e9, 50), scaling.Worker(1e-9, 1.0, 50)
    peak = 864_000 / 86_400 * 5
    assert scaling.Example(864_000, by_cores).workers == math.ceil(peak / 0.6)
    assert scaling.Example(864_000, by_confirms).workers == math.ceil(peak / 0.6)
    assert scaling.Example(1, WORKER).workers == 2


def test_page_has_the_computed_tables() -> None:
    """Both tables of docs/scaling.md are those that ``python -m bench.scaling`` writes."""
    page = scaling.PAGE.read_text(encoding="utf-8")
    for name, text in scaling.tables().items():
        assert scaling.written(page, name) == text, "run: python -m bench.scaling"


def test_replaced_table_is_read_again() -> None:
    """A table that is replaced is the table that is read, and the text around it stays."""
    page = f"before\n<!-- written by python -m bench.scaling: prices -->\n\nold\n\n{scaling.END}\nafter\n"
    changed = scaling.replaced(page, "prices", "| new |")
    assert scaling.written(changed, "prices") == "| new |"
    assert (changed.startswith("before\n"), changed.endswith("\nafter\n")) == (True, True)
