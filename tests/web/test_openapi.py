"""The API's description says what the code does, both ways."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from broker import errors
from broker.core.disposition import NAME_MAX
from broker.core.media import MEDIA_TYPES
from broker.core.policy import SINGLE_PUT_MAX
from broker.core.tickets import TICKET_MAX
from broker.web import wire
from broker.web.query import IDEMPOTENCY_KEY_MAX
from broker.web.routes import RESOURCES

from .application import client

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
PUBLIC = {"/api/v1/uploads/status", "/healthz", "/readyz", "/openapi.yaml", "/.well-known/jwks.json"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every path, method and operation."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def resolved(node: Any) -> Any:
    """``node``, or what it refers to."""
    while isinstance(node, dict) and "$ref" in node:
        target = node["$ref"].removeprefix("#/").split("/")
        node = DOCUMENT
        for name in target:
            node = node[name]
    return node


def described() -> Iterator[Any]:
    """Every parameter and every body of a request or an answer: what has a schema and may have examples."""
    for path, method, operation in operations():
        parts = [resolved(parameter) for parameter in operation.get("parameters", [])]
        bodies = [operation.get("requestBody", {}), *map(resolved, operation["responses"].values())]
        parts += [content for body in bodies for content in body.get("content", {}).values()]
        for number, part in enumerate(parts):
            yield pytest.param(part, id=f"{method} {path} {number}")


def test_it_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_it_has_every_resource_and_method_and_no_other() -> None:
    """HEAD stands behind every GET; where clients are told to use it, it is described too."""
    code = {(path.replace("{key:path}", "{key}"), method) for path, methods in RESOURCES.items() for method in methods}
    code |= {(path, "GET") for path in PUBLIC}
    stated = {(path.replace("{uploadId}", "{upload_id}"), method) for path, method, _ in operations()}
    assert stated - {("/api/v1/objects/{key}", "HEAD")} == code


def test_it_says_which_resources_need_no_token() -> None:
    assert {path for path, _, operation in operations() if operation.get("security") == []} == PUBLIC


@pytest.mark.parametrize("part", list(described()))
def test_every_example_is_valid(part: dict[str, Any]) -> None:
    schema = {**resolved(part["schema"]), "components": DOCUMENT["components"]}
    given = [example["value"] for example in part.get("examples", {}).values()]
    given += [part["example"]] if "example" in part else []
    for example in given:
        Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize("part", list(described()))
def test_every_json_document_has_an_example(part: dict[str, Any]) -> None:
    is_document = "name" not in part and resolved(part["schema"]) != {"type": "object"}
    assert not is_document or "example" in part or "examples" in part


def subclasses(kind: type[errors.BrokerError]) -> Iterator[type[errors.BrokerError]]:
    """The tree of refusals below ``kind``."""
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)


def test_it_has_every_code_and_no_other() -> None:
    kinds: list[type[errors.BrokerError]] = [errors.BrokerError, *subclasses(errors.BrokerError)]
    code = {kind.code for kind in kinds}
    assert set(SCHEMAS["Problem"]["properties"]["code"]["enum"]) == code


def test_its_limits_are_the_codes() -> None:
    parameters = DOCUMENT["components"]["parameters"]
    assert SCHEMAS["ContentType"]["enum"] == [media.name for media in MEDIA_TYPES]
    assert SCHEMAS["File"]["properties"]["size"]["maximum"] == SINGLE_PUT_MAX
    assert SCHEMAS["Filename"]["maxLength"] == NAME_MAX
    assert SCHEMAS["Files"]["properties"]["files"]["maxItems"] == wire.BATCH_MAX
    assert SCHEMAS["UploadIds"]["properties"]["uploadIds"]["maxItems"] == wire.BATCH_MAX
    assert SCHEMAS["Keys"]["properties"]["keys"]["maxItems"] == wire.KEYS_MAX
    assert SCHEMAS["CreateDownloads"]["properties"]["keys"]["maxItems"] == wire.KEYS_MAX
    assert parameters["UploadId"]["schema"]["maxLength"] == TICKET_MAX
    assert parameters["IdempotencyKey"]["schema"]["maxLength"] == IDEMPOTENCY_KEY_MAX


def test_what_is_served_is_this_document() -> None:
    assert yaml.safe_load(client().get("/openapi.yaml").text) == DOCUMENT
