"""The facts of docs/stores.md: how the endpoint decides, the limits, and the settings for Amazon S3."""

import re

from broker import settings
from broker.core import limits
from broker.store.dialect import DIALECTS, UNKNOWN, Addressing, dialect_of

from .markdown import ROOT, block, table

PAGE = ROOT / "docs" / "stores.md"
UNITS = {"MiB": limits.MIB, "GiB": limits.GIB, "TiB": limits.TIB, "": 1}


def size_of(text: str) -> int:
    """Return the number in a cell, rounded down to whole thousandths of its unit."""
    found = re.fullmatch(r"(?:at least )?([\d. ]+?) ?([MGT]iB)?", text)
    assert found
    return int(float(found[1].replace(" ", "")) * UNITS[found[2] or ""])


def test_settings_of_amazon_are_valid() -> None:
    """The settings of the page configure a store in the dialect of Amazon S3."""
    variables = dict(line.split("=", 1) for line in block("test: amazon").splitlines())
    parsed = settings.parse({**variables, "JWT_SECRET": "a secret of the tests, which is long enough"})
    assert parsed.store
    dialect = dialect_of(parsed.store.endpoint)
    assert (dialect.name, dialect.region, dialect.addressing) == ("Amazon S3", "eu-central-1", Addressing.VIRTUAL)
    host = dialect.presigner(parsed.store.credentials, parsed.store.endpoint).endpoint_of(parsed.store.bucket)
    assert f"`{host}`" in PAGE.read_text(encoding="utf-8")


def test_limits_fit_into_those_of_amazon() -> None:
    """The page has the limits of the broker, and none of them is wider than that of Amazon S3."""
    rows = {
        name: [size_of(text) for text in sizes] for name, *sizes in table(PAGE, "limit") if name != "sizes of parts"
    }
    ours = {name: sizes[0] for name, sizes in rows.items()}
    assert abs(ours["one PUT, one part, one copy"] - limits.PUT_MAX) < limits.GIB // 1000
    assert abs(ours["object"] - limits.OBJECT_MAX) < limits.TIB // 1000
    assert ours["part, except the last"] == limits.PART_MIN
    assert ours["parts of an upload"] == limits.PARTS_MAX
    assert all(sizes[0] <= sizes[1] for sizes in rows.values())
    assert rows["part, except the last"][0] == rows["part, except the last"][1]


def test_endpoints_decide_as_the_page_says() -> None:
    """The rows of region, place of the bucket and copies are those of the dialects."""
    text = PAGE.read_text(encoding="utf-8")
    rows = {cells[0]: cells[1:] for cells in (line.strip("| ").split(" | ") for line in text.splitlines())}
    kinds = [*DIALECTS, UNKNOWN]
    places = {Addressing.PATH: "in the path", Addressing.VIRTUAL: "in the host"}
    assert rows["bucket in URLs"] == [places[kind.addressing] for kind in kinds]
    assert [cell.startswith("yes") for cell in rows["a signed SHA-256 is evidence"]] == [
        kind.checks_uploads for kind in kinds
    ]
    assert rows["create-only copies by"][0] == f"`{DIALECTS[0].copy_condition}`"
    assert rows["create-only copies by"][1].strip("`").lower() == DIALECTS[1].copy_condition
    assert rows["region in signatures"][0] == rows["region in signatures"][2] == f"`{UNKNOWN.region}`"
