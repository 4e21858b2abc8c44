"""The names in the pages: files, log events, commands and settings that exist."""

import json
import re
from pathlib import Path

import pytest

from broker.cli import main
from broker.cli.setup_command import ADMIN_KEY_ID, ADMIN_SECRET
from tests.settings.test_settings import names

from .markdown import PAGES, ROOT, Block, name_of, noted, read

CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "broker").rglob("*.py"))
HISTORY = {"CHANGELOG.md"}
"""Pages that name what no longer exists."""

CURRENT = [page for page in PAGES if name_of(page) not in HISTORY]
NOT_SETTINGS = {"BROKER_SECRET_FILE", "R2_", "NAME_FILE", ADMIN_KEY_ID, ADMIN_SECRET}


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    """Each path below a folder of the repository that a page names in code style exists."""
    paths = re.findall(r"`((?:broker|tests|deploy|bench|docs)/[\w./-]+)`", read(page))
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_named_events_exist(page: Path) -> None:
    """Each log event that a page names is logged somewhere."""
    events = set(re.findall(r"`(broker\.[a-z0-9]+(?:_[a-z0-9]+)+)`", read(page)))
    assert [event for event in sorted(events) if f'"{event}"' not in CODE] == []


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_named_settings_exist(page: Path) -> None:
    """Each setting that a page names is read."""
    named = set(re.findall(r"\b((?:R2|JWT|UPLOAD|DOWNLOAD)_[A-Z_]+|BROKER_[A-Z_]+)\b", read(page)))
    assert named - names() <= NOT_SETTINGS


@pytest.mark.parametrize("found", noted("log"), ids=str)
def test_log_examples_are_lines_of_the_log(found: Block) -> None:
    """Each example of the log is one JSON object with the fields of a request, and an event that exists."""
    line = json.loads(found.text)
    fields = {"time", "event", "method", "route", "ms", "requestId", "status", "sub", "code", "reason"}
    assert line.keys() == fields
    assert f'"{line["event"]}"' in CODE


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_named_commands_exist(page: Path) -> None:
    """Each command ``broker X`` that a page names is one of the program."""
    for command in set(
        re.findall(r"(?:`|^|\()broker (serve|demo|token|setup|doctor|reconcile|--version)\b", read(page), re.MULTILINE)
    ):
        with pytest.raises(SystemExit) as ended:
            main.main([command, "--help"] if command.isalpha() else [command])
        assert ended.value.code == 0, command
