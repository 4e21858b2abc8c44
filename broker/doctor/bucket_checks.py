"""Checks of each access key at each bucket that it is used for, by ListObjectsV2.

HeadObject and HeadBucket are of no use here: their errors have no body, so that a wrong secret and a missing bucket
look alike. With a key that is limited to some buckets, R2 answers AccessDenied for a bucket that does not exist.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from broker.core.model import ObjectRef
from broker.crypto.presigner import Presigner
from broker.crypto.sigv4 import Credentials
from broker.settings.endpoint import R2_HOST, EndpointParts, Jurisdiction, parts_of_endpoint
from broker.store.clock_skew import SKEW_REPORTED
from broker.store.dates import http_date
from broker.store.s3_responses import S3Response, error_code, local_name, root_of

from .findings import Finding, Hint, failed, not_checked, passed, warned
from .subject import Subject
from .wire import NoResponseError, Wire, text_of

_REDIRECTS: Final = frozenset({301, 302, 307, 308})
_FORBIDDEN: Final = frozenset({401, 403})
_BUSY: Final = frozenset({429, *range(500, 600)})


class Access(NamedTuple):
    """One access key at one bucket, with the settings that name them."""

    wire: Wire
    bucket: str
    key_setting: str
    bucket_setting: str
    credentials: Credentials


async def check_buckets(subject: Subject) -> list[Finding]:
    """Return the findings about access, and about our clock, which every response shows."""
    found: list[Finding] = []
    for access in _accesses(subject):
        finding, response = await _check(access)
        if response is not None and not any(one.name.startswith("clock") for one in found):
            found.append(clock_finding(response))
        found.append(await _in_other_jurisdiction(access, finding))
    if subject.has_two_buckets and subject.has_two_keys:
        found.append(await _separation(subject))
    return found


def _accesses(subject: Subject) -> list[Access]:
    store = subject.configured
    ready = Access(subject.ready_wire, store.bucket, "R2_ACCESS_KEY_ID", "R2_BUCKET_NAME", store.credentials)
    found = [ready]
    if subject.has_two_buckets:
        found.append(ready._replace(bucket=store.staging_bucket, bucket_setting="R2_STAGING_BUCKET_NAME"))
    if subject.has_two_keys:
        found.append(
            Access(
                subject.staging_wire,
                store.staging_bucket,
                "R2_STAGING_ACCESS_KEY_ID",
                "R2_STAGING_BUCKET_NAME" if subject.has_two_buckets else "R2_BUCKET_NAME",
                store.staging_credentials,
            )
        )
    return found


async def _list(wire: Wire, bucket: str) -> S3Response:
    query = {"list-type": "2", "max-keys": "1"}
    return await wire.call("ListObjectsV2", "GET", ObjectRef(bucket, ""), query=query)


async def _check(access: Access) -> tuple[Finding, S3Response | None]:
    try:
        response = await _list(access.wire, access.bucket)
    except NoResponseError as error:
        text = f"the store at R2_ENDPOINT did not respond: {error}"
        remedy = "Compare R2_ENDPOINT and R2_ACCOUNT_ID, and check the network, DNS and proxies."
        return failed("store-unreachable", text, remedy, Hint.STORE_ADDRESS), None
    return diagnose_access(response, access.bucket, access.key_setting, access.bucket_setting), response


def diagnose_access(response: S3Response, bucket: str, key_setting: str, bucket_setting: str) -> Finding:
    """Return the finding of a response to ListObjectsV2; the settings are those of the key and of the bucket."""
    text, root = text_of(response), root_of(response)
    if response.status == 200 and root is not None and local_name(root) == "ListBucketResult":
        return passed("bucket", f"{key_setting} can list {bucket}")
    if response.status in _BUSY:
        return failed("store-unavailable", text, "Repeat later.", Hint.UNAVAILABLE)
    if abs(_skew(response) or 0) >= SKEW_REPORTED and response.status in _FORBIDDEN:
        return failed("bucket-clock", f"{text}, because of the clock", "Run NTP on this machine.", Hint.CLOCK)
    if response.status in _REDIRECTS:
        return failed("bucket-elsewhere", text, "Set the endpoint of the bucket's own region.", Hint.STORE_ADDRESS)
    remedy = f"Set R2_ENDPOINT to https://<account-id>.{R2_HOST}: custom domains and r2.dev have no S3 API."
    other = failed("endpoint-not-s3", f"R2_ENDPOINT is not an S3 API: {text}", remedy, Hint.STORE_ADDRESS)
    return _refusals(text, bucket, key_setting, bucket_setting).get(error_code(response), other)


def _refusals(text: str, bucket: str, key_setting: str, bucket_setting: str) -> dict[str, Finding]:
    """Return the finding of each error code by which a store refuses access."""
    remedy = f"Correct {key_setting}. It must be a key of the account in R2_ENDPOINT; a new one needs a minute."
    unknown = failed("access-key-unknown", f"{key_setting} is unknown: {text}", remedy, Hint.ACCESS_KEY)
    secret = key_setting.replace("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    remedy = f"Correct {bucket_setting}, or R2_JURISDICTION and R2_ACCOUNT_ID: it is not at this endpoint."
    missing = failed("bucket-missing", f"{bucket} does not exist: {text}", remedy, Hint.BUCKET)
    remedy = (
        f"Correct {bucket_setting}, R2_JURISDICTION or the buckets of the API token: for a misspelt bucket, "
        "and for one in another jurisdiction, R2 returns the same code."
    )
    return {
        "Unauthorized": unknown,
        "InvalidAccessKeyId": unknown,
        "SignatureDoesNotMatch": failed(
            "secret-wrong", f"{secret} is wrong: {text}", f"Copy {secret} again.", Hint.ACCESS_KEY
        ),
        "NoSuchBucket": missing,
        "AccessDenied": failed("bucket-denied", f"{key_setting} may not list {bucket}: {text}", remedy, Hint.BUCKET),
    }


def clock_finding(response: S3Response) -> Finding:
    """Return whether our clock is that of the store, by the Date of a response."""
    seconds = _skew(response)
    if seconds is None:
        return not_checked("clock", "the clock was not checked: the store sends no Date")
    if abs(seconds) >= SKEW_REPORTED:
        side = "ahead of" if seconds > 0 else "behind"
        text = f"our clock is {abs(seconds):.0f} s {side} the store's"
        return failed("clock-skewed", text, "Run NTP on this machine: URLs are signed by its clock.", Hint.CLOCK)
    return passed("clock", "our clock is that of the store")


def _skew(response: S3Response) -> float | None:
    date = http_date(response.headers.get("date", ""))
    return None if date is None else response.received_at - date


async def _separation(subject: Subject) -> Finding:
    """Return whether the key that signs uploads can reach the bucket of ready objects."""
    response = await _list(subject.staging_wire, subject.configured.bucket)
    if response.status != 200:
        return passed("keys-separate", "the key that signs uploads cannot reach ready objects")
    text = "the key that signs uploads can reach ready objects too"
    remedy = "Limit the API token of R2_STAGING_ACCESS_KEY_ID to the staging bucket."
    return warned("keys-not-separate", text, remedy, Hint.SEPARATE_TOKEN)


def other_endpoints(endpoint: str) -> list[tuple[str, str]]:
    """Return the other jurisdictions of an endpoint of R2, each with its endpoint."""
    parts = parts_of_endpoint(endpoint)
    return (
        [] if parts is None else [(each, _endpoint(parts, each)) for each in Jurisdiction if each != parts.jurisdiction]
    )


def _endpoint(parts: EndpointParts, jurisdiction: Jurisdiction) -> str:
    region = "" if jurisdiction is Jurisdiction.DEFAULT else f".{jurisdiction}"
    return f"https://{parts.account}{region}.{R2_HOST}"


async def _in_other_jurisdiction(access: Access, finding: Finding) -> Finding:
    """Return the finding that names the jurisdiction in which the bucket is, or the given one."""
    if finding.name not in ("bucket-denied", "bucket-missing"):
        return finding
    return await find_jurisdiction(access, other_endpoints(access.wire.presigner.endpoint)) or finding


async def find_jurisdiction(access: Access, endpoints: Iterable[tuple[str, str]]) -> Finding | None:
    """Return the finding for the first of ``endpoints`` at which the key can list the bucket."""
    for jurisdiction, endpoint in endpoints:
        wire = Wire(Presigner(access.credentials, endpoint), access.wire.clock)
        try:
            response = await _list(wire, access.bucket)
        except NoResponseError:
            continue
        finally:
            await wire.close()
        if response.status == 200:
            text = f"{access.bucket} is in the jurisdiction {jurisdiction}, and R2_ENDPOINT is of another one"
            return failed("jurisdiction-wrong", text, f"Set R2_JURISDICTION={jurisdiction}.", Hint.BUCKET)
    return None
