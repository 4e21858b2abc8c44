"""The API's description says what the code does, both ways."""

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
from broker.core.media import MEDIA_TYPES, parse_media_type
from broker.core.upload_rules import Declaration, UploadPolicy, digest
from broker.crypto.upload_ids import UPLOAD_ID_MAX
from broker.service.assembly import assemble
from broker.web import schemas
from broker.web.operations import Operations
from broker.web.query import IDEMPOTENCY_KEY_MAX
from broker.web.routes import RESOURCES, public_resources

from .application import ENVIRONMENT, client

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
PARAMETERS = DOCUMENT["components"]["parameters"]
CONFIGURED = settings.parse(ENVIRONMENT)
PUBLIC = set(public_resources(Operations(assemble(CONFIGURED))))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every path, method and operation."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


def answers() -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Every path, method and status with what is answered."""
    for path, method, operation in operations():
        for status, answer in operation["responses"].items():
            yield path, method, int(status), resolved(answer)


def resolved(node: Any) -> Any:
    """``node``, or what it refers to."""
    while isinstance(node, dict) and "$ref" in node:
        target = node["$ref"].removeprefix("#/").split("/")
        node = DOCUMENT
        for name in target:
            node = node[name]
    return node


def closed(schema: dict[str, Any], *, alone: bool = True) -> dict[str, Any]:
    """The schema without references, taking no members but those it lists. A branch leaves that to the whole."""
    found = dict(resolved(schema))
    for word in {"oneOf", "anyOf"} & found.keys():
        found[word] = [closed(branch, alone=False) for branch in found[word]]
    if "properties" in found:
        found["properties"] = {name: closed(part) for name, part in found["properties"].items()}
    if "items" in found:
        found["items"] = closed(found["items"])
    return {"unevaluatedProperties": False, **found} if alone else found


def described() -> Iterator[Any]:
    """Every parameter and every body of a request or an answer: what has a schema and may have examples."""
    for path, method, operation in operations():
        parts = [resolved(parameter) for parameter in operation.get("parameters", [])]
        bodies = [operation.get("requestBody", {}), *map(resolved, operation["responses"].values())]
        parts += [content for body in bodies for content in body.get("content", {}).values()]
        for number, part in enumerate(parts):
            yield pytest.param(part, id=f"{method} {path} {number}")


def examples(part: dict[str, Any]) -> list[Any]:
    """The examples of a part."""
    one = [part["example"]] if "example" in part else []
    return one + [named["value"] for named in part.get("examples", {}).values()]


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
def test_every_example_is_valid_and_has_no_member_that_is_not_described(part: dict[str, Any]) -> None:
    validator = Draft202012Validator(closed(part["schema"]), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for one in examples(part):
        validator.validate(one)


@pytest.mark.parametrize("part", list(described()))
def test_every_parameter_and_document_has_an_example(part: dict[str, Any]) -> None:
    assert examples(part)


def test_every_answer_names_its_request_and_says_who_may_keep_it() -> None:
    for path, method, status, answer in answers():
        wanted = {"X-Request-Id", "Cache-Control"}
        wanted |= {"WWW-Authenticate"} if status == 401 else set()
        wanted |= {"Retry-After"} if status in (202, 429) or (status == 503 and path != "/readyz") else set()
        wanted |= {"Location"} if status in (201, 307) else set()
        assert set(answer["headers"]) == wanted, (path, method, status)


def test_every_resource_that_needs_a_token_may_answer_what_its_gate_does() -> None:
    """Two tokens are malformed, none is unauthenticated, an unknown parameter invalid; there may be no store."""
    gate = {400, 401, 422, 429, 500, 503}
    for path, method, operation in operations():
        if path not in PUBLIC:
            assert gate <= set(map(int, operation["responses"])), (path, method)


def refusals(kind: type[errors.BrokerError] = errors.BrokerError) -> Iterator[type[errors.BrokerError]]:
    """The tree of refusals from ``kind`` down."""
    yield kind
    for below in kind.__subclasses__():
        yield from refusals(below)


def test_it_has_every_code_and_no_other() -> None:
    assert set(SCHEMAS["Problem"]["properties"]["code"]["enum"]) == {kind.code for kind in refusals()}


def test_every_refusal_has_an_example_that_says_what_the_code_does() -> None:
    """All but those that a request gets before it is one of a described operation."""
    shown = set()
    for _, _, status, answer in answers():
        for problem in examples(answer.get("content", {}).get("application/problem+json", {})):
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
        ("File", Declaration),
        ("Files", schemas.Files),
        ("PartNumbers", schemas.PartNumbers),
        ("PartRange", schemas.PartRange),
        ("Empty", schemas.Empty),
        ("UploadIds", schemas.UploadIds),
        ("Keys", schemas.Keys),
        ("CreateDownloads", schemas.CreateDownloads),
    ],
)
def test_a_request_has_the_members_that_the_code_reads_and_no_other(name: str, kind: type[msgspec.Struct]) -> None:
    members = msgspec.structs.fields(kind)
    schema = SCHEMAS[name]
    assert schema["additionalProperties"] is False
    assert set(schema.get("properties", {})) == {member.encode_name for member in members}
    assert set(schema.get("required", [])) == {member.encode_name for member in members if member.required}


RESPONSES = [
    *(schemas.CreatedUpload, schemas.CreatedMultipart, schemas.CreatedUploads, schemas.SignedParts),
    *(schemas.Progress, schemas.Promoting, schemas.TrackReady, schemas.ConfirmResults, schemas.DeleteResults),
    *(schemas.ReadyObject, schemas.FoundKey, schemas.Download, schemas.Downloads, schemas.StorageStatus),
    *(schemas.Health, schemas.Readiness, schemas.Problem),
]
ITEMS = [
    ("SignedParts", "parts", schemas.SignedPart),
    ("Progress", "parts", schemas.StoredPart),
    ("DeleteResults", "results", schemas.DeletedKey),
    ("Problem", "errors", schemas.ProblemError),
]


def described_members(schema: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return the members of a schema, and those that are always there."""
    return set(schema["properties"]), set(schema["required"])


def sent_members(kind: type[msgspec.Struct]) -> tuple[set[str], set[str]]:
    """Return the members of a response's class, and those that are always encoded."""
    members = msgspec.structs.fields(kind)
    return {m.encode_name for m in members}, {m.encode_name for m in members if m.default is not msgspec.UNSET}


@pytest.mark.parametrize("kind", RESPONSES, ids=lambda kind: kind.__name__)
def test_responses_have_the_described_members(kind: type[msgspec.Struct]) -> None:
    """Each response's class has the members of the schema with its name, and sends the required ones."""
    assert sent_members(kind) == described_members(SCHEMAS[kind.__name__])


@pytest.mark.parametrize(("name", "member", "kind"), ITEMS, ids=lambda value: getattr(value, "__name__", value))
def test_items_of_responses_have_the_described_members(name: str, member: str, kind: type[msgspec.Struct]) -> None:
    """So do the items of the lists in responses."""
    assert sent_members(kind) == described_members(SCHEMAS[name]["properties"][member]["items"])


def test_every_response_is_compared() -> None:
    """Every schema that a JSON response refers to has its class, but the JWK Set of RFC 7517."""
    names = {kind.__name__ for kind in RESPONSES}
    referred = set(re.findall(r"#/components/schemas/(\w+)", str([answer for *_, answer in answers()])))
    assert referred == names | {"JwkSet"}


def test_its_limits_are_the_codes() -> None:
    assert SCHEMAS["File"]["properties"]["size"]["maximum"] == UploadPolicy().max_bytes
    assert SCHEMAS["File"]["allOf"][1]["if"] == {"properties": {"size": {"minimum": PUT_MAX + 1}}}
    assert SCHEMAS["PartNumbers"]["properties"]["partNumbers"]["maxItems"] == schemas.PART_NUMBERS_MAX
    assert SCHEMAS["PartNumbers"]["properties"]["partNumbers"]["items"]["maximum"] == PARTS_MAX
    assert SCHEMAS["Filename"]["maxLength"] == FILENAME_MAX
    assert SCHEMAS["Files"]["properties"]["files"]["maxItems"] == schemas.BATCH_MAX
    assert SCHEMAS["UploadIds"]["properties"]["uploadIds"]["maxItems"] == schemas.BATCH_MAX
    assert SCHEMAS["Keys"]["properties"]["keys"]["maxItems"] == schemas.REQUEST_KEYS_MAX
    assert SCHEMAS["CreateDownloads"]["properties"]["keys"]["maxItems"] == schemas.REQUEST_KEYS_MAX
    assert SCHEMAS["CreateDownloads"]["properties"]["expiresIn"]["maximum"] == DownloadPolicy().url_lifetime
    assert SCHEMAS["Key"]["pattern"] == f"^{re.sub('[()]', '', object_keys._READY_KEY.pattern)}$"
    assert PARAMETERS["UploadId"]["schema"]["maxLength"] == UPLOAD_ID_MAX
    assert PARAMETERS["IdempotencyKey"]["schema"]["maxLength"] == IDEMPOTENCY_KEY_MAX


def test_its_media_types_are_the_codes() -> None:
    assert SCHEMAS["ContentType"]["enum"] == [media.name for media in MEDIA_TYPES]
    assert SCHEMAS["Alias"]["enum"] == [alias for media in MEDIA_TYPES for alias in media.aliases]


def accepted(rule: Any, *values: Any) -> bool:
    """Whether a rule of the code takes the values."""
    try:
        return rule(*values) is not None
    except ValueError:
        return False


def described_by(pattern: str, text: str) -> bool:
    """Whether a pattern fits, as in ECMA-262, where ``$`` lets no line feed pass."""
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None


@given(st.text(max_size=12) | st.text("a./\\ \n\x7f\x85\u2028\u200b\u202e\u00a0\u3000\ufeff", max_size=6))
def test_a_filename_is_described_as_it_is_judged(name: str) -> None:
    assert described_by(SCHEMAS["Filename"]["pattern"], name) is accepted(clean_name, name)


@given(st.from_regex(SCHEMAS["DeclaredType"]["anyOf"][2]["pattern"], fullmatch=True))
def test_a_media_type_with_codecs_that_is_described_is_taken(declared: str) -> None:
    assert parse_media_type(declared.removesuffix("\n"))


@pytest.mark.parametrize(("name", "length"), [("Digest256", 32), ("Digest128", 16)])
def test_a_digest_is_described_as_it_is_judged(name: str, length: int) -> None:
    pattern = SCHEMAS[name]["pattern"]

    @given(st.from_regex(pattern, fullmatch=True) | st.text("AaFfGg09+/=", max_size=68))
    @example("A" * 64)
    def check(text: str) -> None:
        assert described_by(pattern, text) is accepted(digest, text, length)

    check()


def test_what_is_served_is_this_document() -> None:
    assert yaml.safe_load(client().get("/openapi.yaml").text) == DOCUMENT
