"""``.env.example`` and the README's table list every setting of the table, with its default."""

import re
from pathlib import Path

from dotenv import dotenv_values

from broker.core.download_rules import DownloadPolicy
from broker.core.upload_rules import UploadPolicy
from broker.crypto.verification_key import secret_key
from broker.settings import TokenRules, parse
from broker.settings.variables import VARIABLES

from .test_settings import GOOD, SECRET, names

ROOT = Path(__file__).parents[2]
EXAMPLE = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example", interpolate=False).items()}
SECRETS = {variable.name for variable in VARIABLES.values() if variable.kind == "secret"}


def readme() -> list[tuple[list[str], str]]:
    """Return the names and the default of each row of the README's table."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## Configuration")[1].split("## In production")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    return [(re.findall(r"[A-Z0-9_]{4,}", row[1]), row[2].strip()) for row in rows]


def test_the_table_has_every_variable() -> None:
    """The variables that ``parse`` reads are those of the table, and a file for each secret."""
    assert names() == {*VARIABLES, *(f"{name}_FILE" for name in SECRETS)}


def test_the_example_has_every_default() -> None:
    """``.env.example`` has the table's variables in its order, each with its default."""
    assert list(EXAMPLE.items()) == [(variable.name, variable.default) for variable in VARIABLES.values()]


def test_the_readme_has_every_setting() -> None:
    """The README's table has each variable of the table once."""
    listed = [name for row, _ in readme() for name in row]
    assert sorted(listed) == sorted(VARIABLES)


def test_the_readme_has_every_default() -> None:
    """The README's table has the default of each variable that has one."""
    defaults = {name: default.strip("`") for row, default in readme() if default.startswith("`") for name in row}
    assert defaults == {name: variable.default for name, variable in VARIABLES.items() if variable.default}


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
    assert {name for name in EXAMPLE if "SECRET" in name} | {"JWT_PUBLIC_KEY"} == SECRETS
