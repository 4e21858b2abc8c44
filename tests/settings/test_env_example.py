"""``.env.example`` lists every setting, with its real default, and no other. ``tests/docs`` compares it with a page."""

from pathlib import Path

from dotenv import dotenv_values

from broker.core.download_rules import DownloadPolicy
from broker.core.upload_rules import UploadPolicy
from broker.crypto.shared_secret import secret_key
from broker.settings import TokenRules, parse
from broker.settings.variables import VARIABLES

from .test_settings import GOOD, SECRET, names

ROOT = Path(__file__).parents[2]
EXAMPLE = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example", interpolate=False).items()}
SECRETS = {variable.name for variable in VARIABLES.values() if variable.kind == "secret"}


def test_the_table_has_every_variable() -> None:
    """The variables that ``parse`` reads are those of the table, and a file for each secret."""
    assert names() == {*VARIABLES, *(f"{name}_FILE" for name in SECRETS)}


def test_the_example_has_every_default() -> None:
    """``.env.example`` has the table's variables in its order, each with its default."""
    assert list(EXAMPLE.items()) == [(variable.name, variable.default) for variable in VARIABLES.values()]


def test_defaults_agree_with_the_policies() -> None:
    """The table's defaults are the defaults of the policies and the token rules."""
    found = parse(GOOD)
    assert found == parse({**EXAMPLE, **GOOD})
    assert (found.uploads, found.downloads) == (UploadPolicy(), DownloadPolicy())
    assert found.tokens == TokenRules(secret_key(SECRET))


def test_every_setting_has_a_meaning_and_bounds() -> None:
    """Each variable of the table has a meaning, and each quantity has bounds."""
    for variable in VARIABLES.values():
        assert variable.meaning
        assert (variable.least < variable.most) is (variable.kind in ("number", "size", "duration"))


def test_the_example_holds_no_secret() -> None:
    """``.env.example`` has no value for a secret or a key, and without them no store is configured."""
    keys = {name: value for name, value in EXAMPLE.items() if "SECRET" in name or "KEY" in name}
    assert keys == dict.fromkeys(keys, "")
    assert parse({**EXAMPLE, "JWT_SECRET": SECRET}).store is None


def test_every_secret_may_come_from_a_file() -> None:
    """Each secret, and no other variable, may come from the file that ``NAME_FILE`` names."""
    assert {name for name in EXAMPLE if "SECRET" in name} | {"JWT_PUBLIC_KEY", "BROKER_REDIS_URL"} == SECRETS
