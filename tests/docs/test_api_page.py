"""docs/api.md compared with openapi.yaml and with the code."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from broker import errors
from broker.core.limits import PARTS_MAX, PUT_MAX
from broker.core.media import MEDIA_TYPES
from broker.core.strict_json import parse

from .markdown import ROOT, Block, noted, read, table

PAGE, TYPES = ROOT / "docs" / "api.md", ROOT / "docs" / "media-types.md"
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))


def resolved(node: Any) -> Any:
    """Return ``node``, or the part of the document that it refers to."""
    while "$ref" in node:
        path = node["$ref"].removeprefix("#/").split("/")
        node = DOCUMENT
        for name in path:
            node = node[name]
    return node


def schema_of(note: str) -> Mapping[str, Any]:
    """Return the schema that a note names: ``json: METHOD PATH request``, or a status instead of ``request``."""
    _, method, path, part = note.split(" ")
    operation = DOCUMENT["paths"][path][method.lower()]
    body = operation["requestBody"] if part == "request" else resolved(operation["responses"][part])
    (content,) = body["content"].values()
    return {**content["schema"], "components": DOCUMENT["components"]}


def properties(node: Any) -> Iterator[str]:
    """Yield the names of all properties in a part of the document."""
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for child in node.values():
            yield from properties(child)
    elif isinstance(node, list):
        for child in node:
            yield from properties(child)


def members(document: Any) -> Iterator[str]:
    """Yield the names of all members of a JSON document, those of ``headers`` apart."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield name
            yield from members(value) if name not in ("headers", "checks") else ()
    elif isinstance(document, list):
        for item in document:
            yield from members(item)


def error_kinds(kind: type[errors.BrokerError] = errors.BrokerError) -> Iterator[type[errors.BrokerError]]:
    """Yield the classes of errors, from ``kind`` down."""
    yield kind
    for below in kind.__subclasses__():
        yield from error_kinds(below)


@pytest.mark.parametrize("found", noted("json"), ids=str)
def test_json_is_valid(found: Block) -> None:
    """Each JSON example is valid by the schema of its request or response, and has no undescribed member."""
    document = json.loads(found.text)
    Draft202012Validator(schema_of(found.note)).validate(document)
    assert set(members(document)) <= set(properties(DOCUMENT))


def test_page_has_every_operation() -> None:
    """The page names the method and the path of every operation."""
    text = read(PAGE)
    for path, item in DOCUMENT["paths"].items():
        for method in item:
            name = f"{method.upper()} {path}"
            assert name in text or (method == "head" and "`HEAD`" in text), name


def test_page_has_an_example_of_every_response() -> None:
    """Each operation with a JSON response of status 200 or 201 has an example of it."""
    shown = {found.note.removeprefix("json: ") for found in noted("json") if found.page == PAGE}
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            for status in {"200", "201"} & operation["responses"].keys():
                has_json = "application/json" in resolved(operation["responses"][status]).get("content", {})
                shows = {f"{method.upper()} {path} {status}", f"{method.upper()} {path} 503"}
                assert not has_json or shows & shown, (method, path)


def test_errors_are_complete() -> None:
    """The table of errors has every code with its statuses, and no other."""
    rows = table(PAGE, "code")
    shown = {row[0].strip("`"): {int(status) for status in row[1].split(", ")} for row in rows}
    real: dict[str, set[int]] = {}
    for kind in error_kinds():
        real.setdefault(str(kind.code), set()).add(int(kind.status))
    assert shown == real


def test_media_types_are_complete() -> None:
    """The table of media types has each type with its extensions, that of its key first, and its aliases."""
    shown = {name.strip("`"): (words(files), set(words(names))) for name, files, names, _ in table(TYPES, "type")}
    extensions = {media.name: [f".{name}" for name in (media.extension, *media.extensions)] for media in MEDIA_TYPES}
    assert shown == {media.name: (extensions[media.name], set(media.aliases)) for media in MEDIA_TYPES}


def words(cell: str) -> list[str]:
    """Return the code words of a table's cell."""
    return re.findall(r"`([^`]+)`", cell)


def bytes_of(name: str) -> int:
    """Return the value of a constant of the HTTP server, which is imported nowhere else."""
    server = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "broker" / "server").glob("*.py"))
    (value,) = re.findall(rf"^{name}: Final = ([0-9 *]+)$", server, re.MULTILINE)
    return math.prod(map(int, value.split("*")))


def test_limits_are_those_of_the_code() -> None:
    """The table of limits has the numbers of the code."""
    limits = "\n".join(" | ".join(row) for row in table(PAGE, "what"))
    batch = DOCUMENT["components"]["schemas"]["NewUploads"]["properties"]["files"]["maxItems"]
    keys = DOCUMENT["components"]["schemas"]["ObjectKeys"]["properties"]["keys"]["maxItems"]
    numbers = (f"{PUT_MAX:,} bytes", f"{PARTS_MAX:,}; 8 MiB", f"| {batch}", f"| {keys:,}", "16 levels")
    target, head, fields = map(bytes_of, ("TARGET_MAX", "HEAD_MAX", "FIELDS_MAX"))
    heads = (f"{target // 1024} KiB; {head // 1024} KiB and {fields} fields",)
    assert [text for text in (*numbers, *heads) if text not in limits] == []
    parse(b"[" * 16 + b"]" * 16)
    with pytest.raises(ValueError, match="16"):
        parse(b"[" * 17 + b"]" * 17)
