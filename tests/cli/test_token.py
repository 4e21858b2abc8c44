"""``broker token``: development tokens."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from broker import settings
from broker.auth.bearer import TokenVerifier
from broker.cli.main import main
from broker.core.model import Principal
from tests.auth.minting import RSA, pem

SECRET = "a secret of the token command, long enough"
RULES = {
    "JWT_SECRET": SECRET,
    "JWT_ISSUER": "https://id.example",
    "JWT_AUDIENCE": "broker",
    "JWT_SUBJECT_CLAIM": "id",
    "JWT_TYPE": "at+jwt",
    "BROKER_SERVICE_SCOPE": "uploads",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands in an empty folder and without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    return tmp_path


@pytest.mark.parametrize(
    ("options", "principal"),
    [
        ([], Principal("user-1")),
        (["--subject", "ann", "--lifetime", "60"], Principal("ann")),
        (["--subject", "backend", "--service"], Principal("backend", is_service=True)),
    ],
    ids=["default", "subject", "service"],
)
@pytest.mark.parametrize(
    "rules",
    [RULES, {"JWT_SECRET": SECRET}, {"JWT_SECRET": SECRET, "BROKER_SCOPE_CLAIM": "realm_access.roles"}],
    ids=["every rule", "no rule", "nested scopes"],
)
def test_token_is_accepted(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    rules: dict[str, str],
    options: list[str],
    principal: Principal,
) -> None:
    """The printed token keeps the rules of the deployment whose settings were read."""
    file = folder / "settings"
    file.write_text("".join(f"{name}={value}\n" for name, value in rules.items()))
    assert main(["token", "--env-file", str(file), *options]) == 0
    verifier = TokenVerifier(settings.parse(rules).tokens)
    now = int(time.time())
    assert verifier.verify([f"Bearer {capsys.readouterr().out.strip()}"], now=now) == principal


@pytest.mark.parametrize(
    ("rules", "options", "error"),
    [
        ({}, [], "JWT_SECRET or JWT_PUBLIC_KEY or JWT_JWKS_URL must be set"),
        ({"JWT_PUBLIC_KEY": "RSA"}, [], "JWT_SECRET does not verify this deployment's tokens"),
        ({"JWT_JWKS_URL": "https://id.example/jwks.json"}, [], "JWT_SECRET does not verify this deployment's tokens"),
        ({"JWT_SECRET": SECRET}, ["--lifetime", "2678401"], "--lifetime must be at most 2678400 seconds"),
    ],
    ids=["no key", "public key", "key set", "lifetime"],
)
def test_token_cannot_be_minted(
    folder: Path, capsys: pytest.CaptureFixture[str], rules: dict[str, Any], options: list[str], error: str
) -> None:
    """The command ends with status 2 and a line that names the setting or the option."""
    if rules.get("JWT_PUBLIC_KEY"):
        rules = {"JWT_PUBLIC_KEY": pem(RSA).replace("\n", "\\n")}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in rules.items()))
    assert main(["token", *options]) == 2
    assert error in capsys.readouterr().err


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("", "empty, too long or of a wrong type"),
        (" ", "blank"),
        ("a" * 2000, "empty, too long"),
        ("../x", "a path"),
        ("\udcff", "strict JSON"),
    ],
    ids=["empty", "blank", "long", "path", "not UTF-8"],
)
def test_useless_token_is_not_printed(subject: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A subject that the broker would refuse ends with one line and status 2, not with a token."""
    os.environ["JWT_SECRET"] = SECRET
    assert main(["token", "--subject", subject]) == 2
    shown = capsys.readouterr()
    assert (shown.out, reason in shown.err) == ("", True)
    assert shown.err.startswith("broker: the broker would refuse this token: ")
