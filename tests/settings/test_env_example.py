"""``.env.example`` lists every setting, with its real default, and no other. ``tests/docs`` compares it with a page."""

from pathlib import Path

from dotenv import dotenv_values

from broker.settings import parse

from .test_settings import GOOD, SECRET, names

ROOT = Path(__file__).parents[2]
EXAMPLE = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example", interpolate=False).items()}


def known() -> set[str]:
    """Every setting; that a secret's may end in ``_FILE`` is said once for all."""
    return {name for name in names() if not name.endswith("_FILE")}


def test_the_example_has_every_setting_and_no_other() -> None:
    assert set(EXAMPLE) == known()


def test_the_defaults_in_the_example_are_the_real_ones() -> None:
    assert parse({**EXAMPLE, **GOOD}) == parse(GOOD)


def test_the_example_holds_no_secret_and_starts_nothing_by_itself() -> None:
    assert {name: EXAMPLE[name] for name in EXAMPLE if "SECRET" in name or "KEY" in name} == dict.fromkeys(
        (name for name in EXAMPLE if "SECRET" in name or "KEY" in name), ""
    )
    assert parse({**EXAMPLE, "JWT_SECRET": SECRET}).store is None


def test_every_secret_may_come_from_a_file_and_nothing_else_may() -> None:
    from_files = {name.removesuffix("_FILE") for name in names() if name.endswith("_FILE")}
    assert from_files == {name for name in EXAMPLE if "SECRET" in name} | {"JWT_PUBLIC_KEY"}
