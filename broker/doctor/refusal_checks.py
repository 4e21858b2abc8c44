"""Requests that the store must refuse: each differs in one thing from what its URL signs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.model import Evidence, FileSpec, ObjectRef
from broker.core.upload_rules import DAY
from broker.crypto.presigner import EMPTY
from broker.errors import StorageUnavailableError
from broker.service.uploads import upload_headers
from broker.store.dialect import UNKNOWN
from broker.store.outcomes import FINAL
from broker.store.s3_responses import METADATA_PREFIX, S3Response

from .findings import Finding, Hint, failed, not_checked, passed, warned
from .probes import CONTENT, FILE, FILE_IN_PARTS, OTHER_CONTENT
from .subject import Subject
from .wire import EXPIRES_IN, NoResponseError, text_of

_USE_ANOTHER: Final = "Use a store that refuses it: the limits of uploads do not hold with this one."
_LONG_AGO: Final = 2 * DAY  # seconds; more than a clock that is off by hours
_METADATA: Final = f"{METADATA_PREFIX}broker-doctor"


@dataclass(frozen=True, slots=True)
class _Put:
    """A signed PUT of a probe. ``send`` sends it, with differences."""

    subject: Subject
    file: FileSpec
    ref: ObjectRef
    url: str

    async def send(self, body: bytes = CONTENT, changes: Mapping[str, str] = EMPTY, url: str = "") -> S3Response:
        headers = {**upload_headers(self.file), **changes}
        return await self.subject.staging_wire.send("PutObject", "PUT", url or self.url, headers, body)


def _put(subject: Subject, file: FileSpec = FILE, age: int = 0) -> _Put:
    """Return a PUT of ``file`` that was signed ``age`` seconds ago, as the broker signs it."""
    wire = subject.staging_wire
    ref = subject.names.staged(subject.configured.staging_bucket)
    headers = {"Content-Length": str(file.size), **upload_headers(file)}
    now = int(wire.clock()) - age
    return _Put(subject, file, ref, wire.presigner.presign("PUT", ref, now=now, expires_in=EXPIRES_IN, headers=headers))


async def _second(subject: Subject) -> S3Response:
    put = _put(subject, FILE_IN_PARTS)
    await put.send()
    return await put.send()


async def _with_tampered_signature(subject: Subject) -> S3Response:
    put = _put(subject, FILE_IN_PARTS)
    return await put.send(url=put.url[:-1] + ("0" if put.url[-1] != "0" else "1"))


async def _with_more_bytes(subject: Subject) -> S3Response:
    return await _put(subject, FILE_IN_PARTS).send(CONTENT + b"\0")


async def _with_another_type(subject: Subject) -> S3Response:
    return await _put(subject, FILE_IN_PARTS).send(changes={"Content-Type": "image/gif"})


async def _expired(subject: Subject) -> S3Response:
    return await _put(subject, FILE_IN_PARTS, age=_LONG_AGO).send()


_REQUESTS: Final[tuple[tuple[str, str, Callable[[Subject], Awaitable[S3Response]]], ...]] = (
    ("signature", "a wrong signature", _with_tampered_signature),
    ("size", "a PUT of more bytes than signed", _with_more_bytes),
    ("type", "another Content-Type than signed", _with_another_type),
    ("expiry", "an expired URL", _expired),
    ("second-write", "a second PUT to the same key", _second),
)
"""The name, the text and the request of each check whose request every store must refuse.

They have no checksum: a store that compares it would refuse other bytes for that reason.
"""


async def check_refusals(subject: Subject) -> list[Finding]:
    """Return a finding for each thing that the store must refuse."""
    found: list[Finding] = []
    for check in (_signed_fields, _checksum, _copy_source, _metadata, _copies, _attestation):
        try:
            found += await check(subject)
        except NoResponseError as error:
            found.append(not_checked(check.__name__.strip("_"), f"the store did not respond: {error}"))
        except StorageUnavailableError as error:
            text = error.reason
            found.append(failed("store-call-failed", text, "See the table of reasons.", Hint.UNAVAILABLE))
    return found


async def _signed_fields(subject: Subject) -> list[Finding]:
    found = []
    for name, text, request in _REQUESTS:
        response = await request(subject)
        if response.status < 400:
            problem = f"{text} is not refused: {text_of(response)}"
            found.append(failed(f"{name}-not-refused", problem, _USE_ANOTHER, Hint.STORE_CHECKS))
        elif response.outcome is FINAL:
            found.append(passed(name, f"{text} is refused"))
        else:
            found.append(not_checked(name, f"{text} was not checked: {text_of(response)}"))
    return found


async def _checksum(subject: Subject) -> list[Finding]:
    response = await _put(subject).send(OTHER_CONTENT)
    if response.status >= 400:
        return [passed("checksum", "bytes with another SHA-256 than signed are refused")]
    text = f"bytes with another SHA-256 than signed are not refused: {text_of(response)}"
    if subject.dialect.checks_uploads and subject.settings.sha256_evidence is Evidence.UPLOAD:
        remedy = "Set SHA256_EVIDENCE=store: receipts would certify a checksum that nobody compared."
        return [failed("checksum-not-refused", text, remedy, Hint.EVIDENCE)]
    remedy = "Do not rely on sha256 with this store: receipts have it only if the store returns it."
    return [warned("checksum-not-refused", text, remedy, Hint.EVIDENCE)]


async def _copy_source(subject: Subject) -> list[Finding]:
    """Send an unsigned x-amz-copy-source, which turns a PUT into CopyObject at stores that act on it."""
    source, put = _put(subject), _put(subject)
    await source.send()
    field = {"x-amz-copy-source": f"{source.ref.bucket}/{source.ref.key}"}
    response = await put.send(OTHER_CONTENT, field)
    stored = None if response.status >= 400 else await _read(subject, put.ref)
    if stored != CONTENT:
        return [passed("copy-source", "an unsigned x-amz-copy-source makes no copy")]
    text = "an unsigned x-amz-copy-source turns an upload into a copy of any object that the access key can read"
    if subject.has_two_buckets and subject.has_two_keys:
        return [passed("copy-source", f"{text}; the separate token limits this to staged objects")]
    remedy = "Use a staging bucket with an API token of its own (R2_STAGING_BUCKET_NAME, R2_STAGING_ACCESS_KEY_ID)."
    return [warned("copy-source-not-refused", text, remedy, Hint.SEPARATE_TOKEN)]


async def _metadata(subject: Subject) -> list[Finding]:
    put = _put(subject)
    response = await put.send(changes={_METADATA: "1"})
    head = None if response.status >= 400 else await subject.staging_wire.call("HeadObject", "HEAD", put.ref)
    if head is None or _METADATA not in head.headers:
        return [passed("metadata", "unsigned x-amz-meta-* are not stored")]
    text = "unsigned x-amz-meta-* are stored; the broker replaces them when it promotes an object"
    return [not_checked("metadata", text)]


async def _copies(subject: Subject) -> list[Finding]:
    """Promote as confirm does: with another ETag than the source's, and to a key that exists."""
    put, target = _put(subject), subject.names.ready(subject.configured.bucket)
    await put.send()
    staged = await subject.store.head(put.ref)
    if staged is None:
        return [not_checked("copies", "copies were not checked: the PUT was not stored")]
    headers = {"content-type": FILE.media_type.name}

    async def copy(etag: str) -> bool:
        return bool(await subject.store.copy(put.ref, target, if_match=etag, headers=headers, size=FILE.size))

    found = [_source_condition(is_copied=await copy("0" * 32))]
    await copy(staged.etag)
    return [*found, _create_only(subject, is_copied=await copy(staged.etag))]


def _source_condition(*, is_copied: bool) -> Finding:
    if not is_copied:
        return passed("copy-condition", "a copy of another version than the checked one is refused")
    text = "x-amz-copy-source-if-match is ignored: a promotion may copy other bytes than those that were checked"
    return failed("copy-condition-ignored", text, _USE_ANOTHER, Hint.STORE_CHECKS)


def _create_only(subject: Subject, *, is_copied: bool) -> Finding:
    name = subject.dialect.copy_condition
    if not is_copied:
        return passed("copy-create-only", "a copy never replaces a ready object")
    if subject.dialect.name == UNKNOWN.name:
        text = f"this store ignores {name}: a second copy of the same checked bytes may replace a ready object"
        return not_checked("copy-create-only", text)
    text = f"{name} is ignored: a copy replaces a ready object"
    return failed("copy-create-only-ignored", text, _USE_ANOTHER, Hint.STORE_CHECKS)


async def _attestation(subject: Subject) -> list[Finding]:
    """Request the checksum of an object that was stored with one, as confirm does."""
    put = _put(subject)
    await put.send()
    head = await subject.store.first_bytes(put.ref, 1, checksum=True)
    if head is None:
        return [not_checked("attestation", "checksums were not checked: the PUT was not stored")]
    if head.stored.sha256 == FILE.sha256:
        return [passed("attestation", "the store returns the SHA-256 of an object")]
    text = "the store does not return the SHA-256 of an object"
    if subject.settings.sha256_evidence is Evidence.STORE:
        remedy = "Unset SHA256_EVIDENCE, or expect sha256: null in every receipt."
        return [failed("attestation-missing", text, remedy, Hint.EVIDENCE)]
    if subject.dialect.checks_uploads:
        return [passed("attestation", f"{text}; it refuses other bytes at the PUT, which is evidence too")]
    remedy = "Expect sha256: null in every receipt, also if the client declared one."
    return [warned("attestation-missing", text, remedy, Hint.EVIDENCE)]


async def _read(subject: Subject, ref: ObjectRef) -> bytes:
    return (await subject.staging_wire.call("GetObject", "GET", ref)).body
