"""Headers of verified tokens are parsed once, and few are kept in memory."""

from collections.abc import Mapping
from typing import Any

import pytest

from broker.auth import bearer as module

from .minting import USER, hs, mint, verifier
from .test_bearer import accepted


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the encoded headers that are parsed during the test."""
    heads: list[str] = []
    parse = module._valid_header

    def noted(head: str, typ: str | None) -> Mapping[str, Any]:
        heads.append(head)
        return parse(head, typ)

    monkeypatch.setattr(module, "_valid_header", noted)
    return heads


def test_header_is_parsed_once(parsed: list[str]) -> None:
    """Different tokens with one header parse it once, and each signature is checked."""
    by = verifier()
    assert [accepted(mint({**USER, "sub": name}), by) for name in "ab"] == [True, True]
    assert not accepted(mint(sign=hs(b"another key of the same length, at least")), by)
    assert len(parsed) == 1


def test_header_of_unverified_token_is_not_cached(parsed: list[str]) -> None:
    """A forged token does not enter its header into the cache."""
    by = verifier()
    for _ in range(2):
        assert not accepted(mint(sign=hs(b"another key of the same length, at least")), by)
    assert len(parsed) == 2


def test_invalid_header_stays_invalid(parsed: list[str]) -> None:
    """A valid signature does not help a header that breaks a rule, however often it is sent."""
    by = verifier()
    for _ in range(2):
        assert not accepted(mint(header={"alg": "HS256", "crit": ["x"]}), by)
    assert len(parsed) == 2


def test_few_headers_are_in_memory(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before one header too many, all are dropped and then parsed again."""
    monkeypatch.setattr(module, "HEADERS_MAX", 2)
    by = verifier()
    for kid in ("a", "b", "a", "b", "c", "b"):
        assert accepted(mint(header={"alg": "HS256", "kid": kid}), by)
    assert len(parsed) == 4
