"""The examination of a deployment: all checks in order, and the removal of all probes, however it ends."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

from broker.errors import StorageUnavailableError
from broker.service.assembly import Deployment

from .bucket_checks import check_buckets
from .configuration_checks import check_settings
from .cors_checks import check_cors
from .findings import Category, Finding, Hint, Report, Status, not_checked, passed, warned
from .lifecycle_checks import check_lifecycle
from .probes import abandoned, abort_multiparts, list_probes, prefixes, remove, run_of
from .redis_checks import check_redis
from .refusal_checks import check_refusals
from .subject import Subject, subject_of
from .token_checks import check_keys, check_token
from .upload_checks import check_multipart, check_upload
from .wire import NoResponseError

FINISH_WITHIN: Final = 5.0
"""Seconds for which an interruption waits for the check in progress."""

_STORE_CHECKS: Final[tuple[tuple[str, Callable[[Subject], Coroutine[None, None, list[Finding]]]], ...]] = (
    ("upload", check_upload),
    ("upload in parts", check_multipart),
    ("refusals of the store", check_refusals),
    ("CORS", check_cors),
    ("lifecycle", check_lifecycle),
)
"""The name and the check of each category that needs access to the buckets."""


class InterruptedExaminationError(Exception):
    """The examination was cancelled. The text is that of the removal of its probes."""


async def examine(deployment: Deployment, *, token: str | None, has_admin_key: bool) -> Report:
    """Examine a deployment; ``token`` is a bearer token to examine too.

    Raises ``InterruptedExaminationError`` or ``CancelledError`` when it is cancelled.
    """
    categories = [
        Category("configuration", check_settings(deployment.settings, has_admin_key=has_admin_key)),
        Category("tokens", await _check_tokens(deployment, token)),
    ]
    if deployment.shared_counts:
        categories.append(Category("rate limits", await check_redis(deployment.shared_counts)))
    subject = subject_of(deployment)
    if subject is None:
        return Report(categories)
    try:
        return Report([*categories, *await _check_store(subject)])
    finally:
        for wire in (subject.staging_wire, subject.ready_wire):
            await wire.close()


async def _check_tokens(deployment: Deployment, token: str | None) -> list[Finding]:
    found = await check_keys(deployment.settings.tokens)
    if token is not None:
        found += await check_token(deployment.verifier, token, int(deployment.clock()))
    return found


async def _check_store(subject: Subject) -> list[Category]:
    access = await check_buckets(subject)
    categories = [Category("buckets", access)]
    if any(finding.status is Status.FAILED and not finding.name.startswith("clock") for finding in access):
        reason = not_checked("not-checked", "not checked, because a bucket cannot be reached")
        return [*categories, *(Category(name, [reason]) for name, _ in _STORE_CHECKS)]
    before = await _remains(subject)
    try:
        categories += [Category(name, await _finished(check(subject))) for name, check in _STORE_CHECKS]
        return [*categories, Category("cleaning", await _clean(subject, before))]
    except asyncio.CancelledError:
        raise InterruptedExaminationError((await _clean(subject, before))[0].text) from None


async def _finished(check: Coroutine[None, None, list[Finding]]) -> list[Finding]:
    """Return the findings of a check. An interruption waits for its requests in flight, which could make probes."""
    task = asyncio.create_task(check)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=FINISH_WITHIN)
        task.cancel()
        raise


async def _remains(subject: Subject) -> list[str]:
    """Return the keys of probes of earlier examinations."""
    try:
        return [key for place in subject.places for key in await list_probes(place)]
    except NoResponseError:
        return []


async def _clean(subject: Subject, before: Sequence[str]) -> list[Finding]:
    """Remove the probes of this examination, and those of interrupted ones."""
    own = subject.names.run
    try:
        listed = [(place, await list_probes(place)) for place in subject.places]
        old = abandoned(before, [key for _, keys in listed for key in keys], own)
        for place, keys in listed:
            await remove(place, [key for key in keys if run_of(key) in {own, *old}])
            for run in {own, *old}:
                await abort_multiparts(place, run)
    except (NoResponseError, StorageUnavailableError) as error:
        text = f"probes may remain below {' and '.join(prefixes())}: {error}"
        return [warned("remains", text, "Run the command again: it removes them.", Hint.REMAINS)]
    texts = [passed("cleaning", "all probes were removed")]
    if old:
        texts.append(passed("cleaning-earlier", f"probes of {len(old)} interrupted examinations were removed"))
    return texts
