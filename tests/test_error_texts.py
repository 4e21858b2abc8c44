"""The texts of errors stand in one table, are short and plain, and are used with the values that they name."""

import ast
import inspect
import re
import string
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec
import pytest
import yaml

from broker import errors
from broker.core.disposition import Disposition
from broker.core.upload_rules import Declaration
from broker.error_texts import JSON_TYPES, Detail, Rule, shown
from broker.errors import BrokerError, Fault, about
from broker.web import schemas
from broker.web.api_description import OPENAPI
from broker.web.body import _fault

PACKAGE = Path(__file__).parents[1] / "broker"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "error_texts.py"]
WORDS_MAX = 20
FORBIDDEN = ("is no ", "none of", "asked", "promised", "anybody", "whoever", "something", "another")
TABLES: dict[str, type[StrEnum]] = {"Detail": Detail, "Rule": Rule}
TEXTS: list[StrEnum] = [*Detail, *Rule]

CLASSES = {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BrokerError)}
TAKE_A_TEXT = {name for name, kind in CLASSES.items() if "detail" in inspect.signature(kind).parameters}
TAKE_A_FIELD_AND_A_TEXT = {"Fault", "_fault", "refuse"}
RULES_OF_FIELDS = {"core/strict_json", "core/disposition", "core/upload_rules"}
"""Modules whose ``ValueError`` becomes the text of a fault."""

LONG_VALUES = {
    "missing": "1-3, 5, 7-9, 11, 13 and more",
    "numbers": "1-3, 5, 7-9, 11, 13 and more",
    "unknown": "1-3, 5, 7-9, 11, 13 and more",
    "allowed": "DELETE, GET, HEAD, POST",
    "known": "disposition, expiresIn, filename, redirect",
    "expected": "a string or null",
    "rule": "",
}
"""Values of more than one word."""

RESPONSES = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))["components"]["responses"].values()
EXAMPLES: list[dict[str, Any]] = [
    example["value"]
    for response in RESPONSES
    for content in response.get("content", {}).values()
    for example in content.get("examples", {}).values()
    if "detail" in example["value"]
]


def name_of(path: Path) -> str:
    """Return the module's path below the package, without its suffix."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def placeholders(text: str) -> set[str]:
    """Return the names of the values that a template takes."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of all texts that a template makes."""
    return re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(text)))


def filled(text: str) -> str:
    """Return a template with a value of typical length in each place."""
    return text.format(**{name: LONG_VALUES.get(name, "1234") for name in placeholders(text)})


def is_literal(node: ast.expr) -> bool:
    """Return whether an expression has text of its own: a string with two words."""
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, str) and len(part.value.split()) > 1
        for part in ast.walk(node)
    )


def literal_texts(source: str, name: str) -> Iterator[ast.AST]:
    """Yield each place of the module ``name`` that gives an error a text which is not from the table."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(kind) | ast.Attribute(attr=kind), args=[text, *_]) if kind in TAKE_A_TEXT:
                found = text
            case ast.Call(func=ast.Name(kind), args=[_, text, *_]) if kind in TAKE_A_FIELD_AND_A_TEXT:
                found = text
            case ast.Call(func=ast.Attribute(ast.Call(func=ast.Name("super"))), args=[text, *_]) if name == "errors":
                found = text
            case ast.Call(func=ast.Name("ValueError" | "_RuleError"), args=[text]) if name in RULES_OF_FIELDS:
                found = text
            case ast.Assign(targets=[ast.Name("rule" | "detail")], value=text) if not name.startswith("settings"):
                found = text
            case _:
                continue
        if is_literal(found) or (isinstance(found, ast.Constant | ast.JoinedStr) and not isinstance(node, ast.Assign)):
            yield node


def uses(path: Path) -> Iterator[tuple[StrEnum, set[str] | None]]:
    """Yield each text that a module uses, with the names of its values; ``None`` where it is used as it is."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    formats = {
        call.func.value: {keyword.arg or "" for keyword in call.keywords}
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "format"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in TABLES:
            yield TABLES[node.value.id][node.attr], formats.get(node)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_error_has_a_literal_text(path: Path) -> None:
    """Every text of an error comes from the table."""
    found = literal_texts(path.read_text(encoding="utf-8"), name_of(path))
    assert [ast.unparse(node) for node in found] == []


def test_literal_texts_are_found() -> None:
    """The search for literal texts finds each way to write one, and does not find a reason for the log."""
    bad = [
        'NotFoundError("Gone.")',
        'errors.NotFoundError(f"{key} is gone")',
        'Fault(f"/keys/{i}", "is required")',
        'Fault("/size", f"{size}")',
        'refuse("url", "is required" if a else Rule.REQUIRED)',
        'rule = "must be short"',
    ]
    good = ['StorageUnavailableError("the object changed")', 'Fault("/size", Rule.REQUIRED)', "NotFoundError(detail)"]
    assert [line for line in (*bad, *good) if [*literal_texts(line, "web/body")]] == bad
    assert [*literal_texts('super().__init__(f"At most {limit} bytes.", retry_after=2)', "errors")]
    assert [*literal_texts('ValueError("must be short")', "core/strict_json")]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_text_is_used_with_its_values(path: Path) -> None:
    """A template receives exactly the values that it names."""
    for text, values in uses(path):
        assert (values or set()) == placeholders(text), text


def test_every_text_is_used() -> None:
    """The table has no text that the program does not use."""
    used = {text for path in MODULES for text, _ in uses(path)}
    assert [text.name for text in TEXTS if text not in used] == []


@pytest.mark.parametrize("text", Detail, ids=lambda text: text.name)
def test_a_detail_is_one_short_text(text: Detail) -> None:
    """A detail has at most 20 words, begins with a capital letter and ends with a period."""
    sentence = filled(text)
    assert len(sentence.split()) <= WORDS_MAX
    assert sentence.endswith(".")
    assert sentence[0].isupper() or text.startswith("{")


@pytest.mark.parametrize("text", Rule, ids=lambda text: text.name)
def test_a_rule_is_a_phrase_after_its_field(text: Rule) -> None:
    """A rule begins with its verb, makes a sentence of at most 20 words, and has no period."""
    phrase = filled(text)
    assert phrase.split()[0] in ("must", "is")
    assert len(phrase.split()) < WORDS_MAX
    assert not phrase.endswith(".")


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: f"{type(text).__name__}.{text.name}")
def test_a_text_has_plain_words(text: StrEnum) -> None:
    """A text has none of the words that the style of the project forbids."""
    assert not [word for word in FORBIDDEN if word in f"{text} ".lower()]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_texts_of_a_table_differ(table: type[StrEnum]) -> None:
    """Each text has one name: an enum hides a second name for the same value."""
    assert [*table.__members__] == [text.name for text in table]


@pytest.mark.parametrize(
    ("received", "text"),
    [
        (70_000, "70000"),
        (-1, "-1"),
        ("text/html; charset=utf-8", "text/html; charset=utf-8"),
        ("https://evil.example/<b>", "https?//evil.example/?b?"),
        ("a\r\n\x00\u202e\ud800", "a?????"),
        ("a" * 41, "a" * 40 + "..."),
        (10**50, "1" + "0" * 39 + "..."),
    ],
)
def test_a_received_value_is_cut_and_escaped(received: object, text: str) -> None:
    """A received value has at most 40 characters in a text, and none that a URL or markup needs."""
    assert shown(received) == text


@pytest.mark.parametrize(
    ("message", "pointer", "rule"),
    [
        ("Expected `int`, got `str` - at `$.files[3].size`", "/files/3/size", "must be an integer, not a string"),
        ("Expected `str | null`, got `array` - at `$.md5`", "/md5", "must be a string or null, not an array"),
        ("Expected `uuid`, got `str`", "", "must be uuid, not a string"),
        ("Expected `array` of length >= 1 - at `$.keys`", "/keys", "must have at least 1 item"),
        ("Expected `array` of length <= 100 - at `$.files`", "/files", "must have at most 100 items"),
        ("A message of a later version", "", "must have the form in the API description"),
    ],
)
def test_msgspec_messages_become_rules(message: str, pointer: str, rule: str) -> None:
    """A validation message of msgspec becomes the pointer and the rule of a fault in the project's words."""
    fault = _fault(message, {})
    assert (fault.pointer, fault.detail) == (pointer, rule)


def test_one_field_has_a_closed_set_of_values() -> None:
    """The text for an unknown value of an enum names the values of the only such field in a request."""
    requests: list[type] = [Declaration, *schemas._Request.__subclasses__()]
    literals = {
        f"{kind.__name__}.{name}": hint
        for kind in requests
        for name, hint in get_type_hints(kind).items()
        if any(getattr(part, "__origin__", None) is Literal for part in (hint, *get_args(hint)))
    }
    assert literals == {"CreateDownloads.disposition": Disposition | None}
    assert " or ".join(get_args(Disposition)) in Rule.DISPOSITION


def test_types_of_requests_have_plain_names() -> None:
    """Each type that msgspec may name in a message has a plain name."""
    values: list[Any] = [None, True, 1, 1.5, "x", [], {}]
    for value in values:
        for kind in (int, str, bool, list, dict, schemas.NewUploads):
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError as error:
                names = str(error).split("`")[1::2]
                assert "missing required" in str(error) or set(names) <= JSON_TYPES.keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["detail"])
def test_examples_of_openapi_quote_the_table(example: dict[str, Any]) -> None:
    """Each example of an error in openapi.yaml has a text of the table."""
    faults = [Fault(**fault) for fault in example.get("errors", ())]
    details = [text for text in Detail if text is not Detail.FIELD and pattern(text).fullmatch(example["detail"])]
    assert details or example["detail"] == about(BrokerError, *faults).detail
    for fault in faults:
        assert [text for text in Rule if pattern(text).fullmatch(fault.detail)]
