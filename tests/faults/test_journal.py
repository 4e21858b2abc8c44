"""The summary of the broker's log in the tables."""

from typing import Any

from .journal import opened, summary, unexpected_lines

LINES: list[dict[str, Any]] = [
    {"event": "broker.store_circuit_opened", "reason": "HeadObject returned 500"},
    {
        "event": "broker.request_completed",
        "status": 503,
        "code": "storage_unavailable",
        "reason": "HeadObject returned 500, cf-ray 1-A",
    },
    {
        "event": "broker.request_completed",
        "status": 503,
        "code": "storage_unavailable",
        "reason": "GetObject returned 500, cf-ray 2-A",
    },
    {"event": "broker.request_completed", "status": 503, "code": "identity_unavailable", "reason": "there are no keys"},
    {"event": "broker.store_circuit_closed"},
    {"event": "broker.jwks_refresh_failed", "reason": "TimeoutError"},
]


def test_summary() -> None:
    """Events precede the reasons of refusals, which have no operation and no trace id."""
    assert summary(LINES) == (
        "circuit opened; circuit closed; keys not refreshed (TimeoutError); "
        '503 because "… returned 500" (2 times); 503 because "there are no keys"'
    )
    assert summary([]) == "nothing"


def test_items() -> None:
    """Items of a batch count if the store caused their refusal."""
    failed = [
        {"item": 0, "code": "storage_unavailable", "reason": "HeadObject got no free slot"},
        {"item": 1, "code": "not_uploaded"},
    ]
    assert summary([{"event": "broker.request_completed", "status": 200, "failed": failed}]) == (
        'items refused because "… got no free slot"'
    )


def test_opened() -> None:
    """Each opening of the circuit breaker is counted."""
    assert opened(LINES) == 1
    assert opened([]) == 0


def test_unexpected_lines() -> None:
    """Unhandled exceptions and errors are returned."""
    assert unexpected_lines(
        [*LINES, {"event": "broker.request_failed"}, {"event": "broker.message_logged", "level": "error"}]
    ) == [
        '{"event": "broker.request_failed"}',
        '{"event": "broker.message_logged", "level": "error"}',
    ]
