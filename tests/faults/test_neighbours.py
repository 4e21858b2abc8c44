"""Rules on a victim of misuse, and a short run without rules on time, because tests run in parallel."""

from urllib.parse import urlsplit

import pytest

from tests.e2e.processes import Broker
from tests.stores.place import Place

from .misuse import KINDS, UselessConfirms, outcomes
from .neighbour_rows import EXPECTED, SLOWER, UNNOTICED, Row, Runner, best, seconds
from .neighbour_table import access_of
from .standing import StandingProxy
from .steady import Result
from .store_rows import settings


def seen(took: float = 0.01, **statuses: int) -> list[Result]:
    """Return one result of each kind, with the expected status or that of ``statuses``."""
    return [Result(kind, 0, took, statuses.get(kind, status)) for kind, status in EXPECTED.items()]


def row(beside: list[Result], wrong: list[str] | None = None) -> Row:
    """Return a row whose victim alone needs 10 ms for everything."""
    return Row("misuses", 0, seconds(seen()), seconds(beside), {"204": 3, "429": 5}, "nothing", wrong or [])


def test_well() -> None:
    """A victim within the limits breaks no rule."""
    good = row(seen(0.01 * SLOWER))
    assert (good.broken(), good.slow()) == ([], [])
    assert good.cells()[1:4] == ["off", "100.00% of 3", "10.0 → 20.0 ms (2.00)"]
    assert good.cells()[-2] == "429: 5, 204: 3"


def test_slow() -> None:
    """Each slow kind is named, and so is the total."""
    found = row([*seen()[:2], Result("confirm", 0, 0.021, 200)]).slow()
    assert found == [f"misuses, rate limit off: p99 of {kind} is 10.0 → 21.0 ms (2.10)" for kind in ("confirm", "all")]


def test_unnoticed() -> None:
    """Requests below 10 ms are not slow, however fast they were alone."""
    alone, beside = seconds(seen(0.002)), seconds(seen(UNNOTICED / 1000))
    assert Row("misuses", 0, alone, beside, {}, "nothing", []).slow() == []


@pytest.mark.parametrize(("kind", "status"), [("create", 429), ("download", 503), ("confirm", 0), ("create", 200)])
def test_any_other_answer(kind: str, status: int) -> None:
    """One unexpected response breaks the rule."""
    given = {kind: status}
    named = status or "none"
    assert row(seen(**given)).broken() == [
        f"misuses, rate limit off: the victim's {kind} returned {named}: 1",
    ]


def test_other_faults() -> None:
    """An open circuit, or an error of the victim alone, breaks the rule, too."""
    assert row(seen(), ["the circuit opened"]).broken() == ["misuses, rate limit off: the circuit opened"]
    alone = Row("misuses", 3000, seconds(seen(create=500)), seconds(seen()), {}, "nothing", [])
    assert alone.broken() == ["misuses, rate limit 3000: alone: the victim's create returned 500: 1"]


def test_best() -> None:
    """Of two measurements the faster one counts for each kind, and the errors of both."""
    slow = [Result("create", 0, 0.001, 201), *seen(0.03, confirm=503)[1:]]
    found = best(best(None, seconds(slow)), seconds(seen(0.02)))
    assert [round(each.p99) for each in found.kinds.values()] == [1, 20, 20, 20]
    assert found.wrong == ["the victim's confirm returned 503: 1"]


def test_outcomes() -> None:
    """Each item of a batch counts, and a lost request counts as no response."""
    assert outcomes(204, {}) == ["204"]
    assert outcomes(0, {}) == ["no response"]
    assert outcomes(429, {"code": "rate_limited"}) == ["rate_limited"]
    items = [{"status": "ready"}, {"problem": {"code": "not_found"}}]
    assert outcomes(200, {"results": items}) == ["200", "not_found"]


def test_access() -> None:
    """Only one misuse needs access by owner, where links need calls to the store."""
    assert [access_of(name) for name in KINDS].count("owner") == 1


async def test_a_moment(tmp_path_factory: pytest.TempPathFactory, seaweedfs: Place) -> None:
    """A victim is served during another user's useless batches, and the circuit stays closed."""
    name = next(name for name, kind in KINDS.items() if kind is UselessConfirms)
    address = urlsplit(seaweedfs.endpoint)
    with (
        StandingProxy(address.hostname or "", address.port or 0) as proxy,
        Broker(tmp_path_factory.mktemp("broker"), settings(seaweedfs, proxy.endpoint)) as broker,
    ):
        rates = {"create": 10, "download": 10, "confirm": 5}
        runner = Runner(broker, seaweedfs.endpoint, proxy, 0, rates, settles=0)
        found = await runner.row(name, seconds(seen()), 0.8)
    assert found.broken() == []
    assert {"not_found", "not_uploaded"} <= found.misused.keys()
