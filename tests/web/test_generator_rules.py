"""Rules of openapi.yaml that code generators need; each was a client that did not compile or decode."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    pytest.param(operation, id=operation["operationId"])
    for item in DOCUMENT["paths"].values()
    for operation in item.values()
]
COLLIDING = {"File", "Files", "Progress", "Key", "Object", "Error", "Result", "Response", "Request", "Map", "Date"}
"""Names that a language, or the code around generated models, has already."""


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of the document with its path, those of examples apart."""
    if isinstance(node, dict):
        yield path, node
        for name, child in node.items():
            if name not in ("example", "examples"):
                yield from nodes(child, f"{path}/{name}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from nodes(child, f"{path}/{index}")


NODES = dict(nodes(DOCUMENT))


def test_enums_have_a_type() -> None:
    """Every enumeration has the type string: without it, generators make an empty class."""
    enums = [node for node in NODES.values() if isinstance(node.get("enum"), list)]
    assert len(enums) > 10
    assert [node for node in enums if node.get("type") != "string"] == []


@pytest.mark.parametrize("word", ["const", "oneOf", "anyOf", "allOf", "not", "if", "then", "else"])
def test_word_is_not_used(word: str) -> None:
    """Words that generators turn into empty classes, or into unions that they cannot decode, are not used.

    Unions with a discriminator fail too: Kotlin, Rust, C# and Dart (openapi-generator 7.26) decode no branch, and Go
    refuses a branch that has gained a member.
    """
    assert [path for path, node in NODES.items() if word in node] == []


def test_integers_have_a_format() -> None:
    """Every integer has a format, and that of a number of bytes is int64."""
    is_bytes = re.compile(r"(size|Size|Bytes|Threshold)$")
    integers = {path: node for path, node in NODES.items() if "integer" in str(node.get("type"))}
    assert len(integers) > 20
    for path, node in integers.items():
        assert node.get("format") == ("int64" if is_bytes.search(path) else "int32"), path
    assert {path for path in integers if is_bytes.search(path)} >= {
        f"/components/schemas/{schema}/properties/{name}"
        for schema, name in [
            ("NewUpload", "size"), ("CreateResult", "partSize"), ("UploadProgress", "uploadedBytes"),
            ("ConfirmResult", "promotedBytes"), ("StorageStatus", "maxBytes"), ("SignedPart", "size"),
        ]
    }  # fmt: skip  # a list to be read at once


def test_patterns_are_portable() -> None:
    r"""A pattern has no comma, which Go's validator splits at, and no ``\u``, which RE2 does not know."""
    patterns = {path: node["pattern"] for path, node in NODES.items() if isinstance(node.get("pattern"), str)}
    assert len(patterns) > 5
    assert [path for path, pattern in patterns.items() if "," in pattern or "\\u" in pattern or "(?" in pattern] == []


def test_objects_are_named() -> None:
    """An object with properties is a schema of its own, so that its class has a name."""
    inline = [path for path, node in NODES.items() if isinstance(node.get("properties"), dict) and path.count("/") != 3]
    assert inline == ["/paths//openapi.yaml/get/responses/200/content/application/yaml/schema"]


def test_names_do_not_collide() -> None:
    """No schema has the name of a class that languages or generators have already, or that of a parameter's class."""
    assert COLLIDING & SCHEMAS.keys() == set()
    assert len({name.lower() for name in SCHEMAS}) == len(SCHEMAS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_other_errors_are_problems(operation: dict[str, Any]) -> None:
    """Each operation describes any other response as a problem."""
    assert operation["responses"]["default"] == {"$ref": "#/components/responses/Other"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_success_has_one_schema(operation: dict[str, Any]) -> None:
    """The responses 200, 201 and 202 of an operation have the same schema, since generators return one type."""
    found = [
        content["schema"]
        for status, response in operation["responses"].items()
        if status in ("200", "201", "202")
        for content in response.get("content", {}).values()
    ]
    assert all(schema == found[0] for schema in found)


def test_optional_bodies_are_not_described() -> None:
    """A request has a body or has none: generated clients send something else for an optional one."""
    for parameter in OPERATIONS:
        (operation,) = parameter.values
        assert operation.get("requestBody", {"required": True})["required"] is True  # type: ignore[union-attr]  # a parameter has any type


def test_example_receipts_verify() -> None:
    """The receipt in the examples verifies with the key in the example, and states what is beside it."""
    jwks = DOCUMENT["paths"]["/.well-known/jwks.json"]["get"]["responses"]["200"]["content"]["application/json"]
    keys = jwt.PyJWKSet.from_dict(jwks["example"])
    confirm = DOCUMENT["paths"]["/api/v1/uploads/{uploadId}/confirm"]["post"]["responses"]["200"]
    batch = DOCUMENT["paths"]["/api/v1/uploads/confirm"]["post"]["responses"]["200"]
    tracks = [confirm["content"]["application/json"]["example"]]
    tracks += [each for each in batch["content"]["application/json"]["example"]["results"] if "receipt" in each]
    assert len(tracks) == 2
    for track in tracks:
        header = jwt.get_unverified_header(track["receipt"])
        assert header["typ"] == "track-ready+jwt"
        claims = jwt.decode(track["receipt"], keys[header["kid"]], algorithms=["EdDSA"], issuer="r2-upload-broker")
        names = {"key", "size", "etag", "contentType", "sha256", "sha256Evidence"}
        assert {name: claims[name] for name in names} == {name: track[name] for name in names}
        assert claims["sub"] == track["owner"]
        assert claims["jti"] in track["key"]
