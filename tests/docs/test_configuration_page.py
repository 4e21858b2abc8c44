"""docs/configuration.md compared with the settings that are read, and with ``.env.example``."""

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from broker.settings import SettingsError, parse
from tests.settings.test_settings import GOOD, names

from .markdown import ROOT, Block, noted, outside_code

PAGE = ROOT / "docs" / "configuration.md"
EXAMPLE = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example", interpolate=False).items()}
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for _, line in outside_code(PAGE)
    if re.match(r"\| `[A-Z0-9_]+` \|", line)
]
SETTINGS = {row[0].strip("`"): row[1:] for row in ROWS}
RANGES = {name: bounds for name, (_, bounds, _) in SETTINGS.items() if re.fullmatch(r"[0-9]\w* to [0-9]\w*", bounds)}
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def number(text: str) -> int:
    """Return the seconds of a duration, or the number."""
    match = re.fullmatch(r"([0-9]+)([a-z]?)", text)
    assert match
    return int(match[1]) * UNITS[match[2]]


def test_page_has_every_setting() -> None:
    """The tables have every setting that is read, and no other."""
    assert set(SETTINGS) == {name for name in names() if not name.endswith("_FILE")}


def test_defaults_are_those_of_the_example() -> None:
    """Each default in code style is that of ``.env.example``; a setting without one is empty there."""
    for name, (default, _, _) in SETTINGS.items():
        match = re.fullmatch(r"`([^`]+)`", default)
        assert EXAMPLE[name] == (match[1] if match else ""), name


def test_secrets_may_come_from_files() -> None:
    """The settings that are marked may come from a file, and no other."""
    marked = {name for name, (_, allowed, _) in SETTINGS.items() if "**file**" in allowed}
    assert marked == {name.removesuffix("_FILE") for name in names() if name.endswith("_FILE")}


@pytest.mark.parametrize("name", sorted(RANGES))
def test_bounds_are_real(name: str) -> None:
    """Both bounds of a range are accepted, and the numbers beyond them are refused."""
    least, most = map(number, RANGES[name].split(" to "))
    longest = {"UPLOAD_LIFETIME": "7d"} if name == "UPLOAD_URL_LIFETIME" else {}
    for value in (least, most):
        parse({**GOOD, **longest, name: str(value)})
    for value in ({least - 1} if least else set()) | {most + 1}:
        with pytest.raises(SettingsError, match=name):
            parse({**GOOD, **longest, name: str(value)})


@pytest.mark.parametrize("found", noted("env"), ids=str)
def test_example_is_a_valid_configuration(found: Block, tmp_path: Path) -> None:
    """Each example of settings is accepted, with the settings that it does not name."""
    secret = tmp_path / "secret"
    secret.write_text("the secret of another access key")
    lines = (line.split("=", 1) for line in found.text.splitlines())
    given = {name: str(secret) if name.endswith("_FILE") else value for name, value in lines}
    base = {name: value for name, value in GOOD.items() if not (name == "JWT_SECRET" and "JWT_JWKS_URL" in given)}
    assert given.keys() <= names()
    parse({**base, **given})
