"""Whole uploads, by the use cases of production: create, PUT, confirm, link, delete, and the tombstone."""

from collections.abc import Awaitable, Callable
from typing import Final, cast

from broker.core.model import PresignedRequest, Principal, UploadStatus
from broker.core.parts import plan
from broker.core.upload_rules import Accepted
from broker.errors import BrokerError, StorageUnavailableError
from broker.service.confirmation import ConfirmedUpload
from broker.service.downloads import LinkOptions
from broker.service.uploads import CreatedUpload
from broker.store.s3_responses import S3Response, error_code

from .findings import Finding, Hint, failed, passed
from .probes import CONTENT, FILE, FILE_IN_PARTS
from .public_checks import check_public_url
from .subject import OWNER, Subject
from .wire import NoResponseError, text_of

SERVICE: Final = Principal(OWNER.subject, is_service=True)
"""May get links whatever ``DOWNLOAD_ACCESS`` is."""


class _StepError(Exception):
    """A step failed. The rest of the upload is not examined."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.name)
        self.finding = finding


async def check_upload(subject: Subject) -> list[Finding]:
    """Return the findings of an upload in one PUT, from create to the refusal behind its tombstone."""
    return await _steps(subject, _put_upload)


async def check_multipart(subject: Subject) -> list[Finding]:
    """Return the findings of an upload in parts."""
    return await _steps(subject, _multipart_upload)


async def _steps(subject: Subject, run: Callable[[Subject, list[Finding]], Awaitable[None]]) -> list[Finding]:
    found: list[Finding] = []
    try:
        await run(subject, found)
    except _StepError as error:
        found.append(error.finding)
    except NoResponseError as error:
        text = f"the store did not respond: {error}"
        found.append(failed("store-unreachable", text, "Check the network, and repeat.", Hint.STORE_ADDRESS))
    except BrokerError as error:
        found.append(_refusal(error))
    return found


async def _put_upload(subject: Subject, found: list[Finding]) -> None:
    (created,) = await subject.uploads.create(OWNER, [Accepted(FILE, None)], idempotency_key=None)
    request = cast("PresignedRequest", created.request)  # an upload in one PUT has one
    _expect("put", await subject.staging_wire.send("PutObject", "PUT", request.url, request.headers, CONTENT))
    found.append(passed("put", "a signed PUT is stored"))
    confirmed = await _confirm(subject, created)
    found.append(passed("confirm", "confirm checks the bytes and promotes them"))
    link = await subject.services.downloads.link(SERVICE, confirmed.track.key, LinkOptions())
    response = await subject.ready_wire.send("GetObject", "GET", link.url)
    _expect("download", response)
    if response.body != CONTENT:
        raise _StepError(
            failed("download-other-bytes", "a download link returns other bytes", "Check proxies.", Hint.DOWNLOADS)
        )
    found.append(passed("download", "a download link returns the same bytes"))
    found += await check_public_url(subject, confirmed.url, subject.uploads.layout.staged(created.upload))
    await subject.services.objects.delete(OWNER, confirmed.track.key)
    again = await subject.staging_wire.send("PutObject", "PUT", request.url, request.headers, CONTENT)
    state = await subject.uploads.progress(OWNER, created.upload_id)
    if again.status != 412 or state.status is not UploadStatus.DELETED:
        text = f"a PUT after the deletion is not refused: {text_of(again)}"
        remedy = "Use a store that honours If-None-Match: * of a PUT: deletions are not final with this one."
        raise _StepError(failed("tombstone-ignored", text, remedy, Hint.STORE_CHECKS))
    found.append(passed("deletion", "a deletion is final: its tombstone refuses the PUT"))


async def _multipart_upload(subject: Subject, found: list[Finding]) -> None:
    accepted = Accepted(FILE_IN_PARTS, plan(FILE_IN_PARTS.size))
    (created,) = await subject.uploads.create(OWNER, [accepted], idempotency_key=None)
    found.append(passed("multipart-create", "an upload in parts is created"))
    (part,) = subject.uploads.presign_parts(OWNER, created.upload_id, [1]).parts
    larger = await subject.staging_wire.send("UploadPart", "PUT", part.url, body=CONTENT + b"\0")
    if larger.status < 400:
        remedy = "Use a store that refuses it: clients could send more than they declared."
        text = f"a part of more bytes than signed is not refused: {text_of(larger)}"
        found.append(failed("part-size-not-refused", text, remedy, Hint.STORE_CHECKS))
    else:
        found.append(passed("part-size", "a part of more bytes than signed is refused"))
    _expect("part", await subject.staging_wire.send("UploadPart", "PUT", part.url, body=CONTENT))
    found.append(passed("part", "a signed part is stored"))
    confirmed = await _confirm(subject, created)
    found.append(passed("multipart-confirm", "confirm lists the parts, joins and promotes them"))
    await subject.services.objects.delete(OWNER, confirmed.track.key)


async def _confirm(subject: Subject, created: CreatedUpload) -> ConfirmedUpload:
    """Confirm a probe, which is promoted in one confirm, as all small objects are."""
    return cast("ConfirmedUpload", await subject.uploads.confirm(OWNER, created.upload_id))


def _expect(name: str, response: S3Response) -> None:
    """Raise ``_StepError`` unless the response is a success."""
    if response.status in (200, 204):
        return
    if error_code(response) == "AccessDenied":
        raise _StepError(_read_only(text_of(response)))
    remedy = "See the table of responses to the PUT." if name != "download" else "See the table of download links."
    hint = Hint.UNAVAILABLE if name != "download" else Hint.DOWNLOADS
    raise _StepError(failed(f"{name}-failed", text_of(response), remedy, hint))


def _refusal(error: BrokerError) -> Finding:
    reason = error.reason or error.detail
    if isinstance(error, StorageUnavailableError):
        if "ObjectLockedByBucketPolicy" in reason:
            remedy = "Remove the lock, or limit it to other prefixes than incoming/ and media/."
            return failed("bucket-locked", f"a bucket lock forbids it: {reason}", remedy, Hint.TOKEN_RIGHTS)
        if " 403" in reason:
            return _read_only(reason)
        return failed("store-call-failed", reason, "See the table of reasons.", Hint.UNAVAILABLE)
    text = f"confirm refuses the bytes that were sent: {error.code}, {reason}"
    return failed("confirm-refused", text, "Use a store that keeps what it is sent.", Hint.CONFIRM)


def _read_only(reason: str) -> Finding:
    text = f"the access key may not write: {reason}"
    remedy = "Make an API token with Object Read & Write on each bucket."
    return failed("token-read-only", text, remedy, Hint.TOKEN_RIGHTS)
