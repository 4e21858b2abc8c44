"""The lists of media types in the browser client and in the demo's page, compared with ``MEDIA_TYPES``."""

import re
from pathlib import Path

import pytest
import yaml

from broker.core.media import MEDIA_TYPES, MediaType, resolve_media_type
from broker.web.assets import STATIC

CLIENT = (Path(__file__).parents[2] / "client" / "src" / "media_types.js").read_text(encoding="utf-8")
PAGE, ICONS = ((STATIC / name).read_text(encoding="utf-8") for name in ("demo.html", "demo-dom.js"))


def block(script: str, opening: str, closing: str) -> str:
    """Return the text between a line that begins a constant and the line that ends it."""
    return script.partition(f"\n{opening}\n")[2].partition(f"\n{closing}")[0]


EXTENSIONS = dict(re.findall(r'"([^"]+)": "([^"]+)"', block(CLIENT, "const EXTENSIONS = {", "};")))
TYPE_BY_EXTENSION = {extension: name for name, extensions in EXTENSIONS.items() for extension in extensions.split()}
ICON_PATTERNS = re.findall(r'\["(\w+)", /(.+)/i?\]', block(ICONS, "const ICONS = [", "];"))
(ACCEPTED,) = (found.split(",") for found in re.findall(r'accept="([^"]+)"', PAGE))
FORMATS = dict(
    zip(("audio", "video", "image"), re.findall(r'id="accepted">([^<]+)<', PAGE)[0].lower().split(";"), strict=True)
)

each_media_type = pytest.mark.parametrize("media", MEDIA_TYPES, ids=lambda media: str(media.name))


def test_client_guesses_as_the_broker() -> None:
    """If the browser client guesses types by extension, it guesses those that the broker finds."""
    for extension, guessed in TYPE_BY_EXTENSION.items():
        found = resolve_media_type("", f"a.{extension}")
        assert found is not None
        assert found.name == guessed, f"client/src/media_types.js has another type for .{extension}"


def test_description_has_the_types() -> None:
    """The API description lists the types of the one table, and those that it gives in examples are accepted."""
    document = yaml.safe_load((STATIC.parents[2] / "openapi.yaml").read_text(encoding="utf-8"))
    description = document["components"]["schemas"]["DeclaredType"]["description"]
    assert f"accepts {', '.join(f'`{media.name}`' for media in MEDIA_TYPES)}, and their other names" in description


@each_media_type
def test_page_has_an_icon(media: MediaType) -> None:
    """The demo's page shows a file of each accepted type with the icon of its kind."""
    extensions = [media.extension, *(name for name, kind in TYPE_BY_EXTENSION.items() if kind == media.name)]
    for extension in extensions:
        icon = next(icon for icon, pattern in ICON_PATTERNS if re.search(pattern, f"a.{extension}", re.IGNORECASE))
        assert icon == media.name.partition("/")[0], f"ICONS of demo-dom.js needs .{extension} of {media.name}"


@each_media_type
def test_page_offers_the_type(media: MediaType) -> None:
    """The file dialog of the demo's page offers each accepted type."""
    kind = media.name.partition("/")[0]
    assert {media.name, f"{kind}/*"} & set(ACCEPTED), f"accept in demo.html needs {media.name}"


@each_media_type
def test_page_names_the_format(media: MediaType) -> None:
    """The demo's page names the format of each accepted type, by its extension or its subtype."""
    kind, _, subtype = media.name.partition("/")
    named = set(re.findall(r"\w+", FORMATS[kind]))
    assert {media.extension, subtype} & named, f"the list of formats in demo.html needs {media.name}"
