"""The API description that a deployment serves: ``openapi.yaml`` with the limits of its own settings.

The file has the defaults. Each text with a limit stands once here: as it is in the file, and with a deployment's value.
A test checks that each text is in the file, and that the description of a deployment with the defaults is the file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from broker.core.download_rules import DownloadAccess
from broker.core.limits import PUT_MAX
from broker.core.media import MEDIA_TYPES
from broker.settings import Settings

_PATHS = (Path(__file__).with_name("openapi.yaml"), Path(__file__).parents[2] / "openapi.yaml")
OPENAPI: Final = next(path for path in _PATHS if path.is_file())  # in a wheel, and in a checkout

_ACCESS: Final = {
    DownloadAccess.AUTHENTICATED: "Every authenticated caller gets links.",
    DownloadAccess.OWNER: "The owner of the object and services get links.",
    DownloadAccess.SERVICE: "Only services get links.",
}


def described(settings: Settings) -> bytes:
    """Return the API description with the limits of ``settings``."""
    text = OPENAPI.read_text(encoding="utf-8")
    for default, own in limit_texts(settings):
        text = text.replace(default, own)
    return text.encode()


def limit_texts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each text of the file that contains a limit, and the text with the limit of ``settings``."""
    uploads, links = settings.uploads, settings.downloads
    in_parts = min(uploads.multipart_threshold, PUT_MAX)
    known = [media.name for media in MEDIA_TYPES]
    types = [name for name in known if name in uploads.types]
    yield "minimum: 1, maximum: 5368709120}", f"minimum: 1, maximum: {uploads.max_bytes}}}"
    yield "A file of more than 16777216 bytes", f"A file of more than {in_parts} bytes"
    yield "may start until then, 900 seconds", f"may start until then, {uploads.url_lifetime} seconds"
    yield "must be confirmed until then, 86400 seconds", f"must be confirmed until then, {uploads.lifetime} seconds"
    yield "minimum: 1, maximum: 3600}", f"minimum: 1, maximum: {links.url_lifetime}}}"
    yield _ACCESS[DownloadAccess.AUTHENTICATED], _ACCESS[links.access]
    yield _listed(known), _listed(types)
    limits = f"maxBytes: {uploads.max_bytes}, multipartThreshold: {uploads.multipart_threshold}"
    yield "maxBytes: 5368709120, multipartThreshold: 16777216", limits
    yield f"types: [{', '.join(known)}]", f"types: [{', '.join(types)}]"
    yield "A user can spend 3000 a minute at each process.", _rate(settings)
    scopes = settings.tokens.scope_claim or "scope` or `scp"
    service = f"whose scopes (`{scopes}`) contain `{settings.tokens.service_scope}`"
    yield "whose scopes (`scope` or `scp`) contain `broker:service`", service
    yield "here `r2-upload-broker`", f"here `{settings.issuer}`"


def _listed(names: list[str]) -> str:
    return f"accepts {', '.join(f'`{name}`' for name in names)},"


def _rate(settings: Settings) -> str:
    if not settings.rate_limit:
        return "There is no limit here."
    return f"A user can spend {settings.rate_limit} a minute{'' if settings.redis_url else ' at each process'}."
