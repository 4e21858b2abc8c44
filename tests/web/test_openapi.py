"""openapi.yaml describes the code, and the code does what openapi.yaml describes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from broker import errors, settings
from broker.core import object_keys
from broker.core.disposition import FILENAME_MAX, clean_name
from broker.core.download_rules import DownloadPolicy
from broker.core.limits import PARTS_MAX, PUT_MAX
from broker.core.media import DECLARED_MAX, MEDIA_TYPES
from broker.core.model import Evidence, UploadStatus
from broker.core.upload_rules import Declaration, UploadPolicy, digest
from broker.crypto.upload_ids import UPLOAD_ID_MAX
from broker.service.assembly import assemble
from broker.web import better_upload, schemas, uppy_schemas
from broker.web.jamsync_documents import UploadedMedia, UploadedMediaBatch
from broker.web.operations import Operations
from broker.web.query import IDEMPOTENCY_KEY_MAX
from broker.web.routes import RESOURCES, public_resources
from broker.web.uppy_routes import BY_TOKEN

from .application import ENVIRONMENT, client

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
PARAMETERS = DOCUMENT["components"]["parameters"]
CONFIGURED = settings.parse(ENVIRONMENT)
PUBLIC = set(public_resources(Operations(assemble(CONFIGURED))))


UNIONS: dict[str, dict[str, type[msgspec.Struct]]] = {
    "CreateResult": {"PUT": schemas.PutUpload, "MULTIPART": schemas.MultipartUpload},
    "ConfirmResult": {
        "ready": schemas.TrackReady,
        "promoting": schemas.PromotingUpload,
        "failed": schemas.FailedUpload,
    },
}
"""Schemas that are unions of classes in the code, and one object in the document; the value that tells them apart."""

DISCRIMINATORS = {"CreateResult": "method", "ConfirmResult": "status"}

FILENAME = (
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*"
    r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\s./\\\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
    r"[^\x00-\x1f\x7f-\x9f\u2028\u2029/\\]*$"
)
"""The whole rule of a filename, in words of ECMA-262 that some languages of generated clients lack."""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every path, method and operation."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def responses() -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Yield every path, method and status with its response."""
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            if status != "default":
                yield path, method, int(status), resolved(response)


def resolved(node: Any) -> Any:
    """Return ``node``, or the node that it refers to."""
    while isinstance(node, dict) and "$ref" in node:
        target = node["$ref"].removeprefix("#/").split("/")
        node = DOCUMENT
        for name in target:
            node = node[name]
    return node


def closed(schema: dict[str, Any], *, alone: bool = True) -> dict[str, Any]:
    """Return the schema without references, and without other members than it lists.

    A branch of ``oneOf`` or ``anyOf`` leaves the check of other members to the whole schema.
    """
    found = dict(resolved(schema))
    if union := UNIONS.get(schema.get("$ref", "").rpartition("/")[2]):
        return {"oneOf": [closed(branch(found, value, kind)) for value, kind in union.items()]}
    for word in {"oneOf", "anyOf"} & found.keys():
        found[word] = [closed(branch, alone=False) for branch in found[word]]
    if "properties" in found:
        found["properties"] = {name: closed(part) for name, part in found["properties"].items()}
    if "items" in found:
        found["items"] = closed(found["items"])
    return {"unevaluatedProperties": False, **found} if alone else found


def branch(schema: dict[str, Any], value: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the schema of one class of a union: its members alone, and the value that tells it apart."""
    members, required = sent_members(kind)
    parts = {name: part for name, part in schema["properties"].items() if name in members}
    (name,) = parts.keys() & set(DISCRIMINATORS.values())
    return {"type": "object", "required": sorted(required), "properties": {**parts, name: {"const": value}}}


def sent_members(kind: type[msgspec.Struct]) -> tuple[set[str], set[str]]:
    """Return the members of a response's class, and those that are always encoded."""
    members = msgspec.structs.fields(kind)
    return {m.encode_name for m in members}, {m.encode_name for m in members if m.default is not msgspec.UNSET}


def parts_with_schema() -> Iterator[Any]:
    """Yield every parameter and every body of a request or response: the parts that have a schema."""
    for path, method, operation in operations():
        parts = [resolved(parameter) for parameter in operation.get("parameters", [])]
        bodies = [operation.get("requestBody", {}), *map(resolved, operation["responses"].values())]
        parts += [content for body in bodies for content in body.get("content", {}).values()]
        for number, part in enumerate(parts):
            yield pytest.param(part, id=f"{method} {path} {number}")


def examples(part: dict[str, Any]) -> list[Any]:
    """Return the examples of a part."""
    one = [part["example"]] if "example" in part else []
    return one + [named["value"] for named in part.get("examples", {}).values()]


def test_document_is_valid_openapi() -> None:
    """The document is valid OpenAPI."""
    validate(DOCUMENT)


def test_document_has_every_operation() -> None:
    """The document has the operations of the code and no others, but for one HEAD that clients use."""
    resources = {**RESOURCES, **BY_TOKEN}
    code = {(path.replace("{key:path}", "{key}"), method) for path, methods in resources.items() for method in methods}
    code |= {(path, "GET") for path in PUBLIC}
    stated = {(path.replace("{uploadId}", "{upload_id}"), method) for path, method, _ in operations()}
    assert stated - {("/api/v1/objects/{key}", "HEAD")} == code


def test_public_resources_are_described() -> None:
    """The document marks the resources that need no token."""
    assert {path for path, _, operation in operations() if operation.get("security") == []} == PUBLIC


@pytest.mark.parametrize("part", list(parts_with_schema()))
def test_examples_are_valid(part: dict[str, Any]) -> None:
    """Every example is valid and has only described members."""
    validator = Draft202012Validator(closed(part["schema"]), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for one in examples(part):
        validator.validate(one)


@pytest.mark.parametrize("part", list(parts_with_schema()))
def test_every_part_has_an_example(part: dict[str, Any]) -> None:
    """Every parameter and every body has an example."""
    assert examples(part)


def test_response_headers_are_described() -> None:
    """Every response describes the header fields that its status has."""
    for path, method, status, response in responses():
        wanted = {"X-Request-Id", "Cache-Control"}
        wanted |= {"WWW-Authenticate"} if status == 401 else set()
        wanted |= {"Retry-After"} if status in (202, 429) or (status == 503 and path != "/readyz") else set()
        wanted |= {"RateLimit", "RateLimit-Policy"} if status == 429 else set()
        wanted |= {"ETag"} if path == "/openapi.yaml" and status in (200, 304) else set()
        wanted |= {"Location"} if status in (201, 307) and not path.endswith("/batch") else set()
        assert set(response["headers"]) == wanted, (path, method, status)


def test_common_refusals_are_described() -> None:
    """Every resource that needs a token describes the statuses of the checks before it."""
    common = {400, 401, 422, 429, 500, 503}
    for path, method, operation in operations():
        if path not in PUBLIC:
            assert common <= {int(status) for status in operation["responses"].keys() - {"default"}}, (path, method)


def refusals(kind: type[errors.BrokerError] = errors.BrokerError) -> Iterator[type[errors.BrokerError]]:
    """Yield the error classes from ``kind`` down."""
    yield kind
    for below in kind.__subclasses__():
        yield from refusals(below)


def test_document_has_every_error_code() -> None:
    """The document has the error codes of the code and no others."""
    assert listed(SCHEMAS["Problem"]["properties"]["code"], "status") == {kind.code for kind in refusals()}


def listed(schema: dict[str, Any], *others: str) -> set[str]:
    """Return the values between back-quotes in the description of a string, without the ``others``."""
    assert schema["type"] in ("string", ["string", "null"])
    return set(re.findall(r"`([^`]+)`", schema["description"])) - set(others)


def test_open_values_are_those_of_the_code() -> None:
    """The values that a description lists, which may be added to, are those of the code."""
    assert listed(SCHEMAS["UploadProgress"]["properties"]["status"]) == set(UploadStatus)
    assert listed(SCHEMAS["ConfirmResult"]["properties"]["sha256Evidence"]) == set(Evidence)


def test_every_refusal_has_an_example() -> None:
    """Every refusal of a described operation has an example with the code, status, title and type of its class."""
    shown = set()
    for _, _, status, response in responses():
        for problem in examples(response.get("content", {}).get("application/problem+json", {})):
            assert problem["status"] == status
            shown.add(tuple(problem[name] for name in ("code", "status", "title", "type", "error")))
            assert problem["message"] == problem["detail"]
    code = set()
    for kind in set(refusals()) - {errors.MethodNotAllowedError, errors.TargetTooLongError, errors.HeadTooLargeError}:
        type_uri = f"urn:problem-type:r2-upload-broker:{kind.code}"
        code.add((kind.code, kind.status, kind.title, type_uri, kind.title))
    assert shown == code


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NewUpload", Declaration),
        ("NewUploads", schemas.NewUploads),
        ("SignParts", schemas.SignParts),
        ("UploadIds", schemas.UploadIds),
        ("ObjectKeys", schemas.ObjectKeys),
        ("CreateDownloads", schemas.CreateDownloads),
        ("UppyFile", uppy_schemas.UppyFile),
        ("UppyParts", uppy_schemas.UppyParts),
        ("UppyRequest", uppy_schemas.UppyRequest),
    ],
)
def test_requests_have_the_described_members(name: str, kind: type[msgspec.Struct]) -> None:
    """Each request class has the members of its schema and no others."""
    members = msgspec.structs.fields(kind)
    schema = SCHEMAS[name]
    assert schema["additionalProperties"] is False
    assert set(schema.get("properties", {})) == {member.encode_name for member in members}
    assert set(schema.get("required", [])) == {member.encode_name for member in members if member.required}


RESPONSES = [
    *(schemas.CreateResults, schemas.SignedParts, schemas.SignedPart, schemas.UploadProgress, schemas.StoredPart),
    *(schemas.ConfirmResults, schemas.DeleteResults, schemas.DeleteResult, schemas.ReadyObject, schemas.FoundKey),
    *(schemas.DownloadLink, schemas.DownloadLinks, schemas.StorageStatus, schemas.Health, schemas.Readiness),
    *(schemas.Problem, schemas.FieldError, UploadedMedia, UploadedMediaBatch),
    *(uppy_schemas.UppyPut, uppy_schemas.UppyUpload, uppy_schemas.UppyStoredPart, uppy_schemas.UppySignedPart),
    *(uppy_schemas.UppySignedParts, uppy_schemas.UppyCompleted, uppy_schemas.UppySigned, uppy_schemas.Session),
    *(better_upload.BetterUploads, better_upload.BetterUploadParts),
    *(better_upload.BetterUploadMetadata, better_upload.BetterUploadId),
]
STRINGS = {"ObjectKey", "ReadinessChecks", "Jwk", "JwkSet"}
"""Schemas in responses without a class."""


def described_members(schema: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return the members of a schema, and those that are always there."""
    return set(schema["properties"]), set(schema["required"])


@pytest.mark.parametrize("kind", RESPONSES, ids=lambda kind: kind.__name__)
def test_responses_have_the_described_members(kind: type[msgspec.Struct]) -> None:
    """Each response's class has the members of the schema with its name, and sends the required ones."""
    assert sent_members(kind) == described_members(SCHEMAS[kind.__name__])


@pytest.mark.parametrize("name", UNIONS)
def test_unions_have_the_described_members(name: str) -> None:
    """A union has the members of all its classes, requires those of each, and has one that tells the classes apart."""
    sent = [sent_members(kind) for kind in UNIONS[name].values()]
    assert set.union(*(members for members, _ in sent)) == SCHEMAS[name]["properties"].keys()
    assert set.intersection(*(required for _, required in sent)) == set(SCHEMAS[name]["required"])
    assert SCHEMAS[name]["properties"][DISCRIMINATORS[name]]["enum"] == list(UNIONS[name])
    for value, kind in UNIONS[name].items():
        member = next(m for m in msgspec.structs.fields(kind) if m.name == DISCRIMINATORS[name])
        assert member.default in (value, msgspec.NODEFAULT)


def referred(node: Any, found: set[str]) -> set[str]:
    """Return the names of the schemas that a part of the document refers to, also through other schemas."""
    for name in set(re.findall(r"#/components/schemas/(\w+)", str(node))) - found:
        found.add(name)
        referred(SCHEMAS[name], found)
    return found


def test_every_response_is_compared() -> None:
    """Every schema of a JSON response has its class, except strings, the checks of readiness, and the JWK Set."""
    names = {kind.__name__ for kind in RESPONSES} | UNIONS.keys()
    used = referred([response for *_, response in responses()], set())
    assert used == names | STRINGS, "add the class of broker/web/schemas.py to RESPONSES of this file"


def test_limits_equal_those_of_the_code() -> None:
    """The limits in the document are those of the code."""
    file = SCHEMAS["NewUpload"]["properties"]
    assert file["size"]["maximum"] == UploadPolicy().max_bytes
    assert all(f"bove {PUT_MAX}" in file[name]["description"] for name in ("size", "multipart"))
    numbers = SCHEMAS["SignParts"]["properties"]
    assert numbers["partNumbers"]["maxItems"] == schemas.PART_NUMBERS_MAX
    limits = [schema["maximum"] for schema in (numbers["partNumbers"]["items"], numbers["from"], numbers["to"])]
    assert limits == [PARTS_MAX] * 3
    assert SCHEMAS["Filename"]["maxLength"] == FILENAME_MAX
    assert SCHEMAS["NewUploads"]["properties"]["files"]["maxItems"] == schemas.BATCH_MAX
    assert SCHEMAS["UploadIds"]["properties"]["uploadIds"]["maxItems"] == schemas.BATCH_MAX
    assert SCHEMAS["ObjectKeys"]["properties"]["keys"]["maxItems"] == schemas.REQUEST_KEYS_MAX
    assert SCHEMAS["CreateDownloads"]["properties"]["keys"]["maxItems"] == schemas.REQUEST_KEYS_MAX
    assert SCHEMAS["CreateDownloads"]["properties"]["expiresIn"]["maximum"] == DownloadPolicy().url_lifetime
    old_key = re.sub("[()]", "", object_keys._OLD_KEY.pattern).replace(r"[^./\\]", r"[^./\\\x00-\x1f\x7f]")
    assert (SCHEMAS["ObjectKey"]["pattern"], SCHEMAS["ObjectKey"]["maxLength"]) == (f"^{old_key}$", object_keys.KEY_MAX)
    assert PARAMETERS["UploadId"]["schema"]["maxLength"] == UPLOAD_ID_MAX
    assert PARAMETERS["IdempotencyKey"]["schema"]["maxLength"] == IDEMPOTENCY_KEY_MAX


def test_media_types_equal_those_of_the_code() -> None:
    """The media types in the document are those of the code."""
    others = "application/octet-stream"
    assert listed(SCHEMAS["DeclaredType"], others) == {media.name for media in MEDIA_TYPES}
    assert SCHEMAS["DeclaredType"]["maxLength"] == DECLARED_MAX


def is_accepted(rule: Any, *values: Any) -> bool:
    """Return whether a rule of the code accepts the values."""
    try:
        return rule(*values) is not None
    except ValueError:
        return False


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches as in ECMA-262, where ``$`` does not match before a line feed."""
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None


@given(st.text(max_size=12) | st.text("a./\\ \n\x7f\x85\u2028\u200b\u202e\u00a0\u3000\ufeff", max_size=6))
def test_filename_pattern_is_part_of_the_rule(name: str) -> None:
    """The pattern of a filename refuses control characters, and accepts the names that the code accepts."""
    has_control = any(character < " " or "\x7f" <= character <= "\x9f" for character in name)
    assert matches(SCHEMAS["Filename"]["pattern"], name) is (bool(name) and not has_control)
    assert matches(FILENAME, name) is is_accepted(clean_name, name)
    assert matches(SCHEMAS["Filename"]["pattern"], name) or not is_accepted(clean_name, name)


@pytest.mark.parametrize(("name", "length"), [("sha256", 32), ("md5", 16)])
def test_digest_pattern_equals_the_rule(name: str, length: int) -> None:
    """The pattern of a digest accepts the digests that the code accepts."""
    pattern = SCHEMAS["NewUpload"]["properties"][name]["pattern"]

    @given(st.from_regex(pattern, fullmatch=True) | st.text("AaFfGg09+/=", max_size=68))
    @example("A" * 64)
    def check(text: str) -> None:
        assert matches(pattern, text) is is_accepted(digest, text, length)

    check()


def test_served_document_is_the_file() -> None:
    """A deployment with the default limits serves the file of the repository."""
    default = client(environment={**ENVIRONMENT, "BROKER_RATE_LIMIT": "3000"})
    assert yaml.safe_load(default.get("/openapi.yaml").text) == DOCUMENT
