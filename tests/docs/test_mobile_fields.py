"""The members of the Swift and Kotlin snippets compared with the schemas of their responses in openapi.yaml."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import yaml

from broker.web.schemas import TrackReady

from .markdown import ROOT, block

DOCUMENT = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))

RESPONSES = {
    "NewUpload": ("/uploads", "201"),
    "SignedParts": ("/uploads/{uploadId}/parts", "200"),
    "Track": ("/uploads/{uploadId}/confirm", "200"),
    "Problem": ("/uploads", "422"),
}
"""The path and the status of the response that each type reads; all are of a POST."""

TYPES = {
    "String": "string",
    "URL": "string",
    "Int": "integer",
    "Int64": "integer",
    "Long": "integer",
    "[String: String]": "object",
    "Map<String, String>": "object",
}

NESTED = ("[Part]", "List<SignedPart>")

READY = {field.encode_name for field in msgspec.structs.fields(TrackReady) if field.required}
"""Members that every ready upload has. The schema of a confirm's response also describes other results."""

BYTES = {"size", "partSize"}
"""Members that count bytes, which need 64 bits."""


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Follow references in the document."""
    while "$ref" in part:
        found: Any = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the object schemas that a document may match."""
    schema = resolved(schema)
    for kind in ("oneOf", "anyOf", "allOf"):
        for part in schema.get(kind, []):
            yield from alternatives(part)
    if "properties" in schema:
        yield schema


def schemas(path: str, status: str) -> list[dict[str, Any]]:
    """Return the schemas of one file in a response."""
    response = resolved(DOCUMENT["paths"][f"/api/v1{path}"]["post"]["responses"][status])
    (content,) = response["content"].values()
    return [found for found in alternatives(content["schema"]) if "uploads" not in found["properties"]]


def members(language: str, name: str) -> dict[str, tuple[str, bool]]:
    """Return the type of each member of a type in a snippet, and whether it may be missing."""
    code = block(f"names: {language}")
    if language == "swift":
        found = re.search(rf"struct {name}: Decodable[^{{]*\{{(.*?)^ *\}}", code, re.MULTILINE | re.DOTALL)
        assert found
        listed = re.findall(r"let (\w+): ([^\n?]+)(\??)", found[1])
        return {member: (kind.strip(), bool(optional)) for member, kind, optional in listed}
    found = re.search(rf"data class {name}\((.*?)\)\n", code, re.DOTALL)
    assert found
    listed = re.findall(r"val (\w+): ((?:\w|<[^>]*>)+)(\?? = [^\n]+)?", found[1])
    return {member: (kind, bool(default)) for member, kind, default in listed}


def types_of(property_: dict[str, Any]) -> set[str]:
    """Return the JSON types of a property."""
    part = resolved(property_)
    found = part.get("type", [])
    own = {found} if isinstance(found, str) else set(found)
    values = [*part.get("enum", []), *([part["const"]] if "const" in part else [])]
    own |= {"string" for value in values if isinstance(value, str)}
    return own.union(*(types_of(other) for kind in ("oneOf", "anyOf") for other in part.get(kind, [])))


def check(language: str, name: str, found: list[dict[str, Any]]) -> None:
    """Compare the members of a type with the properties of the schemas."""
    read = members(language, name)
    assert read
    for member, (kind, may_be_missing) in read.items():
        described = [schema["properties"][member] for schema in found if member in schema["properties"]]
        assert described, f"{name}.{member}"
        in_every_form = all(member in schema.get("required", []) for schema in found)
        is_always_there = in_every_form or (name == "Track" and member in READY)
        assert may_be_missing is not is_always_there, f"{name}.{member}"
        if kind not in NESTED:
            assert {TYPES[kind]} == set().union(*map(types_of, described)), f"{name}.{member}"
        if member in BYTES:
            assert kind in ("Int64", "Long"), f"{name}.{member}"


@pytest.mark.parametrize("language", ["swift", "kotlin"])
@pytest.mark.parametrize("name", RESPONSES)
def test_members_are_those_of_the_response(language: str, name: str) -> None:
    """Each member exists in the response, has its type, and is optional only if the response may lack it."""
    if (language, name) == ("swift", "SignedParts"):
        assert re.search(
            r"struct SignedParts: Decodable \{.*?    let parts: \[Part\]", block("names: swift"), re.DOTALL
        )
        return
    check(language, name, schemas(*RESPONSES[name]))


@pytest.mark.parametrize(("language", "name"), [("swift", "Part"), ("kotlin", "SignedPart")])
def test_members_are_those_of_a_part(language: str, name: str) -> None:
    """Each member of a signed part exists in the response, and has its type."""
    (listed,) = schemas(*RESPONSES["SignedParts"])
    check(language, name, list(alternatives(resolved(listed["properties"]["parts"])["items"])))
