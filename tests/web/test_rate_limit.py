"""P19: a user who asks for too much is told when to come again, and signs nothing meanwhile."""

import pytest

from broker.errors import RateLimitedError
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, KEY, client, token

LIMITED = {**ENVIRONMENT, "BROKER_RATE_LIMIT": "100"}
FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/api/v1/uploads", {"files": [FILE] * 90}),
        ("/api/v1/downloads", {"keys": [KEY] * 90}),
        ("/api/v1/uploads/confirm", {"uploadIds": ["x"] * 90}),
    ],
)
def test_what_a_batch_names_is_counted(path: str, document: object) -> None:
    with client(MemoryObjectStore(), environment=LIMITED) as app:
        assert app.post(path, json=document).is_success
        answer = app.post(path, json=document)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert "https://" not in answer.text


def test_requests_are_counted_and_others_have_their_own() -> None:
    with client(environment=LIMITED) as app:
        passed = 0
        while (answer := app.get(f"/api/v1/downloads/{KEY}")).status_code == 200:
            passed += 1
        assert answer.status_code == 429
        assert 100 <= passed < 150  # the bucket fills meanwhile
        other = {"Authorization": f"Bearer {token('user-2')}"}
        assert app.get(f"/api/v1/downloads/{KEY}", headers=other).status_code == 200
        service = {"Authorization": f"Bearer {token(scope='broker:service')}"}
        assert app.get(f"/api/v1/downloads/{KEY}", headers=service).status_code == 200
        assert app.get("/healthz").status_code == 200


def test_the_refusal_says_when() -> None:
    assert RateLimitedError(7).retry_after == 7
