"""Remains of a file's syntax in values and names: quotes, comments, templates, placeholders, marks."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.cli.main import main
from broker.settings import SettingsError, parse
from broker.settings.raw_values import COMMENT, INVISIBLE, PLACEHOLDER, QUOTED, TEMPLATE, broken_rule
from broker.settings.variables import VARIABLES

from .test_settings import ACCOUNT, GOOD, SECRET, STORE, faults, warnings

SECRETS = sorted(name for name, variable in VARIABLES.items() if variable.kind == "secret")
OTHERS = sorted(VARIABLES.keys() - {*SECRETS})
HEX = "9f2c1e7ab34d58f0617c2a9be8d4035f"
VALUES = {
    **{name: variable.default or "1" for name, variable in VARIABLES.items()},
    **dict.fromkeys(SECRETS, HEX),
    **STORE,
}


@pytest.mark.parametrize("quotes", ['""', "''", "``", "“”", "„“", "‘’", "«»", "””"])  # noqa: RUF001  as people paste them
@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_value_in_quotes(name: str, quotes: str) -> None:
    """A value in quotes is one fault of its setting, which does not print it."""
    found = faults(**{name: f"{quotes[0]}{VALUES[name]}{quotes[1]}"})
    assert [fault for fault in found if fault.startswith(f"{name} ")] == [f"{name} {QUOTED}"]
    assert VALUES[name] not in " ".join(found) or len(VALUES[name]) < 3


@pytest.mark.parametrize("text", ['""', "''", '"', '" "', '""abc""', "'\"abc\"'", ' "abc" ', '"abc"\r'])
def test_other_forms_of_quotes(text: str) -> None:
    """Empty, doubled and nested quotes are faults, also with blanks around them; one quote alone is a value."""
    assert broken_rule(text.strip(), is_secret=True) == (None if text == '"' else QUOTED)


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("BROKER_SECRET", f'"{HEX}",{HEX[::-1]}', QUOTED),
        ("BROKER_SECRET", f"{HEX}, <another>", TEMPLATE),
        ("BROKER_SECRET", f"{HEX},changeme", PLACEHOLDER),
        ("BROKER_CORS_ORIGINS", "https://a.example, 'https://b.example'", QUOTED),
        ("JWT_ALGORITHMS", '"HS256",HS384', QUOTED),
    ],
)
def test_items_of_a_list(name: str, text: str, rule: str) -> None:
    """Each item of a list has the same rules, and the setting has one fault."""
    assert faults(**{name: text}) == [f"{name} {rule}"]


@pytest.mark.parametrize("text", ['it"s', '"a" or "b', "'tis", "5'", '{"kty":"OKP"}', "a'b'c", "“a", "\"a'"])
def test_quotes_inside_a_value(text: str) -> None:
    """A value may contain quotes, or begin or end with one."""
    assert broken_rule(text, is_secret=True) is None


@pytest.mark.parametrize("name", sorted(VARIABLES))
@pytest.mark.parametrize("around", ["{}\r", "\ufeff{}", " {} ", "\t{}\r\n", "\xa0{}\xa0", "\ufeff {}\n"])
def test_marks_around_a_value(name: str, around: str) -> None:
    """Blanks, line ends and a byte order mark around a value have no effect."""
    alone = {**GOOD, name: GOOD.get(name, "")}
    value = alone[name] or VARIABLES[name].default
    assert parse({**alone, name: around.format(value)}) == parse({**alone, name: value})


@pytest.mark.parametrize("mark", ["\u200b", "\u2060", "\u202a", "\x07", "\u00ad"])
@pytest.mark.parametrize("form", ["{}abc", "abc{}"])
@pytest.mark.parametrize("name", ["R2_SECRET_ACCESS_KEY", "JWT_ISSUER", "JWT_SECRET", "R2_ACCESS_KEY_ID"])
def test_invisible_characters(name: str, form: str, mark: str) -> None:
    """A value that begins or ends with an invisible character is a fault."""
    assert f"{name} {INVISIBLE}" in faults(**{name: form.format(mark)})


TEMPLATES = (
    "${R2_SECRET}",
    "${R2_SECRET:-}",
    "${R2_SECRET:?must be set}",
    "$R2_SECRET",
    "$(cat secret)",
    "{{ .Values.secret }}",
    "${{ secrets.R2 }}",
    "%R2_SECRET%",
    "<your-key>",
    "<YOUR KEY>",
    "{secret}",
)


@pytest.mark.parametrize("text", TEMPLATES)
@pytest.mark.parametrize("name", [*SECRETS, "R2_ACCESS_KEY_ID", "R2_BUCKET_NAME", "JWT_ISSUER", "R2_CONCURRENCY"])
def test_templates(name: str, text: str) -> None:
    """A template that nothing has replaced is a fault."""
    assert [fault for fault in faults(**{name: text}) if fault.startswith(f"{name} ")] == [f"{name} {TEMPLATE}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("R2_ENDPOINT", "https://<account-id>.r2.cloudflarestorage.com"),
        ("R2_ENDPOINT", "https://${R2_ACCOUNT_ID}.r2.cloudflarestorage.com"),
        ("JWT_ISSUER", "https://login.example/{tenantid}/v2.0"),
        ("JWT_JWKS_URL", "https://login.example/<tenant>/keys"),
        ("JWT_AUDIENCE", "api://$CLIENT_ID"),
        ("BROKER_CORS_ORIGINS", "https://a.example,https://${HOST}"),
    ],
)
def test_templates_inside(name: str, text: str) -> None:
    """A template inside a value other than a secret is a fault."""
    assert f"{name} {TEMPLATE}" in faults(**{name: text})


@pytest.mark.parametrize(
    "text", ["$2b$10$abcdefgh", "a<b>c", "x${y}z", "5 < 6 > 4", "<>", "{}", "${", "%41%", "100% sure", "a {b} c"]
)
def test_secrets_with_signs(text: str) -> None:
    """A secret may contain the signs of templates."""
    assert broken_rule(text, is_secret=True) is None


@pytest.mark.parametrize(
    "text", ["https://x.example/%E4%B8%AD", "https://x.example/?a=%20b", "a$b", "f:8d1c:{1}", "a<1"]
)
def test_values_with_signs(text: str) -> None:
    """A value may contain percent-encoding, and signs that are not of a template."""
    assert broken_rule(text, is_secret=False) is None


MARKERS = (
    *("changeme", "CHANGE_ME", "change-me!", "please change me", "replace_me", "replace-this", "fill me in"),
    *("xxx", "XXXXXXXX", "todo", "TBD", "placeholder"),
    *("your-access-key-id", "your_secret_access_key", "YOUR-TOKEN", "your-bucket-name"),
)


@pytest.mark.parametrize("text", MARKERS)
@pytest.mark.parametrize("name", ["R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_BUCKET_NAME", "BROKER_SERVICE_SCOPE"])
def test_placeholders(name: str, text: str) -> None:
    """A placeholder of an example is a fault."""
    assert faults(**{name: text}) == [f"{name} {PLACEHOLDER}"]


@pytest.mark.parametrize(
    "text", ["yourmusic", "exchange-media", "xx", "xxl", "todos", "changes", "your-music-media", "a"]
)
def test_words_like_placeholders(text: str) -> None:
    """A name that resembles a placeholder is accepted."""
    assert broken_rule(text, is_secret=False) is None


@pytest.mark.parametrize("text", ["a # comment", "a #", "a\t# b", "a # b # c"])
def test_comments(text: str) -> None:
    """A comment after a value is a fault, or for a secret, which may contain its form, a warning."""
    assert faults(JWT_ISSUER=text) == [f"JWT_ISSUER {COMMENT}"]
    (warning,) = warnings(R2_SECRET_ACCESS_KEY=text)
    assert warning == "R2_SECRET_ACCESS_KEY has a # after a blank: if a comment follows the value, remove it"
    assert warnings(JWT_ISSUER="a#b", R2_SECRET_ACCESS_KEY="a#b") == []


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("text", "rule"), [(f'"{HEX}"', QUOTED), ("<your-key>", TEMPLATE), ("changeme\n", PLACEHOLDER)]
)
def test_content_of_secret_files(name: str, text: str, rule: str, tmp_path: Path) -> None:
    """The text in the file of a secret has the same rules."""
    (tmp_path / "secret").write_text(text)
    found = faults(**{name: "", f"{name}_FILE": str(tmp_path / "secret")})
    assert f"{name}_FILE names a file whose text {rule}" in found


def test_byte_order_mark_in_a_secret_file(tmp_path: Path) -> None:
    """A byte order mark and line ends around the text in a secret's file have no effect."""
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")
    assert parse({**STORE, "JWT_SECRET_FILE": str(tmp_path / "secret")}) == parse({**STORE, "JWT_SECRET": SECRET})


@pytest.mark.parametrize("form", ["export {}", "\ufeff{}", "{} ", " {}", "export\t{}", "\ufeffexport {}"])
@pytest.mark.parametrize("name", ["R2_ACCOUNT_ID", "JWT_LEEWAY"])
def test_names_with_remains(name: str, form: str) -> None:
    """A setting whose name has a mark, a blank or ``export`` before or after it is a fault."""
    rule = "must be set without export, blanks or a byte order mark before or after its name"
    assert faults(**{form.format(name): VALUES[name]}) == [f"{name} {rule}"]


@pytest.mark.parametrize("name", ["export OTHER", "exportR2", " PATH", "R2_ACCOUNT_IDS", "export"])
def test_other_names_are_ignored(name: str) -> None:
    """Variables that are not settings are ignored, whatever their names."""
    assert parse({**GOOD, name: '"x"'}) == parse(GOOD)


def test_docker_keeps_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an environment as ``docker --env-file`` makes it, ``broker serve`` lists all faults and exits with 2."""
    monkeypatch.chdir(tmp_path)
    quoted = {name: f'"{value}"' for name, value in GOOD.items()}
    for name, value in quoted.items():
        monkeypatch.setenv(name, value)
    assert main(["serve"]) == 2
    printed = "".join(capsys.readouterr())
    for name, value in quoted.items():
        assert f"{name} {QUOTED}" in printed
        assert value.strip('"') not in printed


@given(st.text(max_size=40), st.booleans())
def test_any_text(text: str, is_secret: bool) -> None:
    """Any text is accepted or breaks one of the rules, and a secret breaks no rule that another value keeps."""
    rule = broken_rule(text, is_secret=is_secret)
    assert rule in (None, QUOTED, COMMENT, TEMPLATE, PLACEHOLDER, INVISIBLE)
    if is_secret and rule:
        assert broken_rule(text, is_secret=False)


@given(st.binary(min_size=24, max_size=64))
def test_random_secrets_are_accepted(data: bytes) -> None:
    """A random secret in hex or base64 breaks no rule."""
    assert broken_rule(data.hex(), is_secret=True) is None


def test_no_rule_quotes_a_value() -> None:
    """The rules are fixed texts, so a fault cannot print a value."""
    with pytest.raises(SettingsError) as refused:
        parse({**GOOD, "R2_ACCOUNT_ID": f"'{ACCOUNT}'", "JWT_ISSUER": "canary # canary", "JWT_AUDIENCE": "<canary>"})
    assert json.dumps(refused.value.faults).count("canary") == 0
    assert len(refused.value.faults) == 3
