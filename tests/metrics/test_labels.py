"""Labels: no text of a client becomes one, and their values are those of the code and the settings."""

import platform
from importlib.metadata import version
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from broker.core.quota import PARTITIONS
from broker.metrics.counters import NO_ROUTE, OTHER_METHOD
from broker.metrics.upload_counters import METHODS_OF_UPLOADS
from broker.service.observer import REFUSALS
from broker.web.http_methods import METHODS
from tests.ports import free_ports
from tests.stores.memory import MemoryObjectStore
from tests.web.application import KEY, token

from .scraped import scraped
from .scrapes import samples, scrape

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
FIELDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
FILES = st.fixed_dictionaries(
    {"filename": TEXTS | st.just("a.mp3"), "contentType": TEXTS | st.just("audio/mpeg"), "size": st.integers(0, 2**50)}
)
LIMITED = {"BROKER_RATE_LIMIT": "1000000", "UPLOAD_ROUTES": "tracks"}


def allowed(app: TestClient) -> dict[str, set[str]]:
    """Return the values that each label may have."""
    routes = {route.path for route in cast("Starlette", app.app).routes if isinstance(route, Route)}
    return {
        "route": routes | {NO_ROUTE},
        "method": {*METHODS, OTHER_METHOD, *METHODS_OF_UPLOADS},
        "status": {*map(str, range(200, 600))},
        "code": {kind.code for kind in REFUSALS},
        "by": {*PARTITIONS},
        "bucket": {"songs"},
        "version": {version("r2-upload-broker")},
        "python": {platform.python_version()},
    }


def test_labels_come_from_the_code() -> None:
    """Whatever clients send, every label has one of the values that code and settings fix."""
    port = free_ports(1)
    with scraped(port, LIMITED, MemoryObjectStore()) as app:

        @settings(max_examples=12)
        @given(FILES, FIELDS, FIELDS, st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=8))
        def send(file: dict[str, Any], name: str, text: str, method: str) -> None:
            own = {"Authorization": f"Bearer {token(name)}", "X-Request-Id": name}
            created = app.post("/api/v1/uploads", json=file, headers=own).json()
            upload_id = created.get("uploadId", name.replace("/", "-"))
            for path in ("", "/confirm", f"/{text}"):
                app.request("POST" if path else "GET", f"/api/v1/uploads/{upload_id}{path}", headers=own)
            app.post("/api/v1/uploads/batch", json={"files": [file, file]}, headers=own)
            app.post("/api/v1/uploads/confirm", json={"uploadIds": [upload_id, text]}, headers=own)
            app.post("/api/upload", json={"route": "tracks", "files": [{"name": name, "size": 1, "type": text}]})
            app.post("/api/v1/uploads/media", files={"file": (name, b"x", "audio/mpeg")}, headers=own)
            app.post("/s3/multipart", json={"filename": name, "type": text, "metadata": {"size": "1"}}, headers=own)
            app.get(f"/api/v1/downloads/{KEY}", params={"filename": name}, headers={"Host": "a", **own})
            app.request(method, "/api/v1/objects/x", headers=own)

        send()
        found = samples(scrape(port))
        values = allowed(app)
    for metric, labels in found:
        for label, value in labels:
            assert label == "le" or value in values[label], metric
    assert sum(value for (metric, _), value in found.items() if metric == "broker_uploads_created_total")
    assert sum(value for (metric, _), value in found.items() if metric == "broker_uploads_refused_total")
