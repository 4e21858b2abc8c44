"""P19: a user over the rate limit gets Retry-After and no URL."""

from pathlib import Path

import pytest

from broker.errors import RateLimitedError
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, KEY, client, token

LIMITED = {**ENVIRONMENT, "BROKER_RATE_LIMIT": "100"}
FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/api/v1/uploads/batch", {"files": [FILE] * 90}),
        ("/api/v1/downloads", {"keys": [KEY] * 90}),
        ("/api/v1/uploads/confirm", {"uploadIds": ["x"] * 90}),
    ],
)
def test_p19_batch_items_are_counted(path: str, document: object) -> None:
    """Each item of a batch counts, and a refused batch gets Retry-After and no URL."""
    with client(MemoryObjectStore(), environment=LIMITED) as app:
        assert app.post(path, json=document).is_success
        response = app.post(path, json=document)
        assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert "https://" not in response.text


def test_p19_users_have_separate_limits() -> None:
    """Requests are counted for each user; services and health have no limit."""
    with client(environment=LIMITED) as app:
        passed = 0
        while (response := app.get(f"/api/v1/downloads/{KEY}")).status_code == 200:
            passed += 1
        assert response.status_code == 429
        assert 100 <= passed < 150  # the limit is refilled meanwhile
        other = {"Authorization": f"Bearer {token('user-2')}"}
        assert app.get(f"/api/v1/downloads/{KEY}", headers=other).status_code == 200
        service = {"Authorization": f"Bearer {token(scope='broker:service')}"}
        assert app.get(f"/api/v1/downloads/{KEY}", headers=service).status_code == 200
        assert app.get("/healthz").status_code == 200


def test_refusal_has_retry_after() -> None:
    """The refusal carries the seconds until a retry."""
    assert RateLimitedError(7).retry_after == 7


def test_successes_state_a_low_quota() -> None:
    """A success states the quota when more than half of it is spent, and a redirect does not."""
    with client(environment=LIMITED) as app:
        assert "ratelimit" not in app.get(f"/api/v1/downloads/{KEY}").headers
        app.post("/api/v1/downloads", json={"keys": [KEY] * 60})
        response = app.get(f"/api/v1/downloads/{KEY}")
        assert response.headers["ratelimit-policy"] == '"principal";q=100;w=60'
        remaining, seconds = (int(part[2:]) for part in response.headers["ratelimit"].split(";")[1:])
        assert 30 <= remaining < 50
        assert 30 < seconds <= 60
        redirected = app.get(f"/api/v1/downloads/{KEY}?redirect=1")
        assert (redirected.status_code, "ratelimit" in redirected.headers) == (307, False)
        service = {"Authorization": f"Bearer {token(scope='broker:service')}"}
        assert "ratelimit" not in app.get(f"/api/v1/downloads/{KEY}", headers=service).headers


def test_refusal_states_the_quota() -> None:
    """A 429 has the fields of the quota, and its wait is that of Retry-After."""
    with client(environment=LIMITED) as app:
        app.post("/api/v1/downloads", json={"keys": [KEY] * 90})
        response = app.post("/api/v1/downloads", json={"keys": [KEY] * 90})
    assert response.status_code == 429
    assert response.headers["ratelimit-policy"] == '"principal";q=100;w=60'
    assert response.headers["ratelimit"].endswith(f";t={response.headers['retry-after']}")


def test_absent_redis_changes_nothing(tmp_path: Path) -> None:
    """With a Redis that is away, the broker starts, is ready, and counts in its own memory."""
    settings = {**LIMITED, "BROKER_REDIS_URL": f"unix://{tmp_path}/redis.sock", "BROKER_ADDRESS_RATE_LIMIT": "1000"}
    with client(MemoryObjectStore(), environment=settings) as app:
        statuses = [app.get(f"/api/v1/downloads/{KEY}").status_code for _ in range(140)]
        assert statuses[:100] == [200] * 100
        assert 429 in statuses
        assert app.get("/readyz").status_code == 200
