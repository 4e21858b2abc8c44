"""/openapi.yaml as a deployment serves it: with its own limits, and with an entity tag."""

from typing import Any

import pytest
import yaml
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from broker import settings
from broker.web.api_description import OPENAPI, limit_texts

from .application import ENVIRONMENT, client

OWN = {
    **ENVIRONMENT,
    "UPLOAD_MAX_BYTES": "4TiB",
    "UPLOAD_MULTIPART_THRESHOLD": "64MiB",
    "UPLOAD_TYPES": "image/png, audio/*",
    "UPLOAD_URL_LIFETIME": "600",
    "UPLOAD_LIFETIME": "7200",
    "DOWNLOAD_URL_LIFETIME": "1800",
    "DOWNLOAD_ACCESS": "owner",
    "BROKER_RATE_LIMIT": "700",
    "BROKER_ISSUER": "https://broker.example",
    "BROKER_SERVICE_SCOPE": "media:admin",
    "BROKER_SCOPE_CLAIM": "roles",
}


def served(environment: dict[str, str]) -> tuple[dict[str, Any], str]:
    """Return the served document of a deployment, and its text."""
    text = client(environment=environment).get("/openapi.yaml").text
    return yaml.safe_load(text), text


def test_every_limit_is_in_the_file() -> None:
    """Each text with a limit is in the file, and a deployment with the defaults replaces it by itself."""
    text = OPENAPI.read_text(encoding="utf-8")
    default = {**ENVIRONMENT, "BROKER_RATE_LIMIT": "3000"}
    for stated, own in limit_texts(settings.parse(default)):
        assert stated in text
        assert own == stated
    assert all(stated != own for stated, own in limit_texts(settings.parse(OWN)))


def test_limits_are_those_of_the_deployment() -> None:
    """The served document is valid OpenAPI and has the limits of the deployment in place of the defaults."""
    document, text = served(OWN)
    validate(document)
    schemas = document["components"]["schemas"]
    assert schemas["NewUpload"]["properties"]["size"]["maximum"] == 4 * 2**40
    assert schemas["CreateDownloads"]["properties"]["expiresIn"]["maximum"] == 1800
    parameters = document["paths"]["/api/v1/downloads/{key}"]["get"]["parameters"]
    assert [each["schema"]["maximum"] for each in parameters if each.get("name") == "expiresIn"] == [1800]
    types = schemas["DeclaredType"]["description"]
    assert "`audio/mpeg`" in types
    assert "`image/png`" in types
    assert "video/" not in types
    assert "image/jpeg" not in types
    for stated in (
        "A file of more than 67108864 bytes", "may start, 600 seconds", "must be confirmed, 7200 seconds",
        "The owner of the object and services get links.", "A user can spend 700 a minute",
        "whose scopes (`roles`) contain `media:admin`", "here `https://broker.example`",
    ):  # fmt: skip  # a list to be read at once
        assert stated in text


def test_status_example_has_the_limits() -> None:
    """The example of the storage status has what the deployment responds."""
    document, _ = served(OWN)
    response = document["paths"]["/api/v1/uploads/status"]["get"]["responses"]["200"]
    shown = response["content"]["application/json"]["example"]
    assert shown == client(environment=OWN).get("/api/v1/uploads/status").json()


def test_missing_rate_limit_is_stated() -> None:
    """A deployment without a rate limit says so."""
    document, text = served(ENVIRONMENT)
    validate(document)
    assert "There is no limit here." in text


@pytest.mark.parametrize("issuer", ["it's: a broker", 'a\\b "c", [d]&*!|>%@', "0123456789" * 30])
def test_issuer_cannot_break_the_document(issuer: str) -> None:
    """The issuer is text in the document, whatever characters it has."""
    document, _ = served({**ENVIRONMENT, "BROKER_ISSUER": issuer})
    assert f"here `{issuer}`" in document["info"]["description"].replace("\n", " ")


def test_scope_cannot_break_the_document() -> None:
    """The service scope is text in the document."""
    document, _ = served({**ENVIRONMENT, "BROKER_SERVICE_SCOPE": "a:'b'#c"})
    assert "contain `a:'b'#c`" in document["components"]["securitySchemes"]["bearer"]["description"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_description_is_validated_by_its_tag(method: str) -> None:
    """A client that has the document gets 304 by its strong entity tag; a deployment with other limits has another."""
    app: TestClient = client()
    first = app.request(method, "/openapi.yaml")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    assert tag.startswith('"')
    again = app.request(method, "/openapi.yaml", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert app.request(method, "/openapi.yaml", headers={"If-None-Match": '"other"'}).status_code == 200
    other = client(environment={**ENVIRONMENT, "UPLOAD_MAX_BYTES": "1MiB"})
    assert other.request(method, "/openapi.yaml", headers={"If-None-Match": tag}).status_code == 200
    assert client().request(method, "/openapi.yaml").headers["etag"] == tag
