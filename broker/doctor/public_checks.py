"""Checks of the public URL of ready objects."""

from urllib.parse import urlsplit

from broker.core.model import ObjectRef

from .findings import Finding, Hint, failed, not_checked, passed, warned
from .probes import CONTENT
from .subject import Subject
from .wire import NoResponseError


async def check_public_url(subject: Subject, url: str | None, staged: ObjectRef) -> list[Finding]:
    """Return whether the ready object of a probe is at its public ``url``, and the staged one is not public."""
    base = subject.configured.public_url
    if url is None or base is None:
        return [not_checked("public-url", "R2_PUBLIC_URL is unset: ready objects are read by signed links only")]
    found = [await _is_ready_public(subject, url)]
    if await _get(subject, f"{base}/{staged.key}") == CONTENT:
        text = "staged objects are public: bytes that nobody checked can be read at R2_PUBLIC_URL"
        remedy = "Set R2_STAGING_BUCKET_NAME to a second, private bucket."
        found.append(failed("staged-public", text, remedy, Hint.PUBLIC))
    if (urlsplit(base).hostname or "").endswith(".r2.dev"):
        remedy = "Connect a custom domain to the bucket."
        found.append(
            warned("public-url-r2-dev", "R2_PUBLIC_URL is on r2.dev, which is limited in rate", remedy, Hint.PUBLIC)
        )
    return found


async def _is_ready_public(subject: Subject, url: str) -> Finding:
    if await _get(subject, url) == CONTENT:
        return passed("public-url", "a ready object can be read at R2_PUBLIC_URL")
    text = "a ready object cannot be read at R2_PUBLIC_URL"
    remedy = "Connect the domain to the bucket R2_BUCKET_NAME, and permit public reads, or unset R2_PUBLIC_URL."
    return failed("public-url-wrong", text, remedy, Hint.PUBLIC)


async def _get(subject: Subject, url: str) -> bytes | None:
    """Return the body at a URL; ``None`` if it is not a 200."""
    try:
        response = await subject.ready_wire.send("GET", "GET", url)
    except (NoResponseError, ValueError):
        return None
    return response.body if response.status == 200 else None
