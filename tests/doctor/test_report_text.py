"""The output of ``broker doctor``, compared with golden files."""

import json
from pathlib import Path

import pytest

from broker.doctor.findings import Category, Finding, Hint, Report, Status, failed, not_checked, passed, warned
from broker.doctor.report_text import FORMATS
from tests.doctor.deployments import examined
from tests.doctor.faulty_store import FaultyStore, serving

GOLDEN = Path(__file__).parent / "golden"

MIXED = Report(
    [
        Category(
            "configuration",
            [
                passed("settings", "the settings are valid"),
                warned("secret-derived", "BROKER_SECRET is unset", "Set it.", Hint.SECRET),
            ],
        ),
        Category(
            "buckets",
            [
                failed("bucket-missing", "songs does not exist", "Create it.", Hint.BUCKET),
                not_checked("cors", "no key"),
            ],
        ),
    ]
)


@pytest.mark.parametrize("output", FORMATS)
def test_output_is_golden(output: str) -> None:
    """Each format of a report with all four results is that of its golden file."""
    assert FORMATS[output](MIXED) == (GOLDEN / f"mixed.{output}").read_text(encoding="utf-8")


async def test_healthy_output_is_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of a healthy deployment with one bucket is that of its golden file."""
    monkeypatch.setattr("broker.service.deletion.COPY_GRACE", 0)
    with serving(FaultyStore()) as endpoint:
        report = await examined(endpoint)
    assert FORMATS["text"](report) == (GOLDEN / "healthy.text").read_text(encoding="utf-8")
    assert FORMATS["short"](report) == "Status: √ no complaint\n"
    assert json.loads(FORMATS["json"](report))["status"] == "ok"


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([passed("a", "a"), not_checked("b", "b")], Status.OK),
        ([passed("a", "a"), warned("b", "b", "", Hint.CORS)], Status.WARNING),
        ([failed("a", "a", "", Hint.CORS), warned("b", "b", "", Hint.CORS)], Status.FAILED),
        ([], Status.OK),
    ],
)
def test_status_is_the_worst(findings: list[Finding], status: Status) -> None:
    """The status of a report is its worst result; what was not checked does not count."""
    assert Report([Category("one", findings)]).status is status
