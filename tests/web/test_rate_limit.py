"""P19: a user over the rate limit gets Retry-After and no URL."""

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
