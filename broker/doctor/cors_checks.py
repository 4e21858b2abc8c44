"""Preflight requests to the buckets, as a browser sends them before a PUT and a GET from each web origin."""

from collections.abc import Sequence
from typing import Final

from broker.core.model import ObjectRef
from broker.store.bucket_rules import UPLOAD_HEADERS
from broker.store.s3_responses import S3Response

from .findings import Finding, Hint, failed, not_checked, passed, warned
from .subject import Subject
from .wire import EXPIRES_IN, NoResponseError, Wire

STRANGER: Final = "https://broker-doctor.invalid"
"""An origin that no deployment has (RFC 2606): a rule that permits it permits all."""

_APPLY: Final = "Run broker setup --apply, or put a rule for this origin on the bucket."


async def check_cors(subject: Subject) -> list[Finding]:
    """Return the findings for each origin of ``BROKER_CORS_ORIGINS`` at each bucket that pages use."""
    origins = subject.settings.cors_origins
    if not origins:
        return [not_checked("cors", "BROKER_CORS_ORIGINS is unset: no page uses the broker or the buckets")]
    store = subject.configured
    staged = ObjectRef(store.staging_bucket, subject.names.staged(store.staging_bucket).key)
    ready = ObjectRef(store.bucket, subject.names.ready(store.bucket).key)
    try:
        found = await _check(subject.staging_wire, staged, "PUT", UPLOAD_HEADERS, origins)
        return found + await _check(subject.ready_wire, ready, "GET", (), origins)
    except NoResponseError as error:
        return [not_checked("cors", f"the store did not respond: {error}")]


async def _check(
    wire: Wire, ref: ObjectRef, method: str, headers: Sequence[str], origins: Sequence[str]
) -> list[Finding]:
    found = []
    for origin in origins:
        asked = STRANGER if origin == "*" else origin
        response = await _preflight(wire, ref, asked, method, headers)
        if _permits(response, asked, method, headers):
            found.append(passed("cors", f"pages of {origin} may {method} in {ref.bucket}"))
        else:
            found.append(await _diagnosed(wire, ref, asked, method, headers))
    if "*" not in origins and any(finding.name == "cors" for finding in found):
        response = await _preflight(wire, ref, STRANGER, method, headers)
        if _permits(response, STRANGER, method, headers):
            text = f"the CORS rules of {ref.bucket} permit {method} from every origin"
            remedy = "Run broker setup --apply, and remove the rule with the origin *."
            found.append(warned("cors-wildcard", text, remedy, Hint.CORS))
    return found


async def _preflight(wire: Wire, ref: ObjectRef, origin: str, method: str, headers: Sequence[str]) -> S3Response:
    """Send the preflight request of a browser to a real presigned URL."""
    url = wire.presigner.presign(method, ref, now=int(wire.clock()), expires_in=EXPIRES_IN)
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        fields["Access-Control-Request-Headers"] = ",".join(sorted(headers))
    return await wire.send("OPTIONS", "OPTIONS", url, fields)


def _permits(response: S3Response, origin: str, method: str, headers: Sequence[str]) -> bool:
    """Return whether a browser sends the request after this response (fetch.spec.whatwg.org, CORS-preflight fetch)."""
    permitted = response.headers.get("access-control-allow-origin")
    methods = _items(response, "access-control-allow-methods")
    names = _items(response, "access-control-allow-headers")
    return (
        200 <= response.status < 300
        and permitted in (origin, "*")
        and bool({method.lower(), "*"} & methods)
        and ("*" in names or set(headers) <= names)
    )


def _items(response: S3Response, name: str) -> set[str]:
    return {item.strip().lower() for item in response.headers.get(name, "").split(",")}


async def _diagnosed(wire: Wire, ref: ObjectRef, origin: str, method: str, headers: Sequence[str]) -> Finding:
    """Return which part of the rule is missing, by preflights that request less."""
    refused = [
        name
        for name in headers
        if not _permits(await _preflight(wire, ref, origin, method, [name]), origin, method, [name])
    ]
    if refused and len(refused) < len(headers):
        text = f"the CORS rule of {ref.bucket} for {origin} lacks header fields: {', '.join(refused)}"
        return failed("cors-headers", text, "Name each of them in the rule; * is not reliable.", Hint.CORS)
    for other in ("GET", "PUT"):
        if other != method and _permits(await _preflight(wire, ref, origin, other, ()), origin, other, ()):
            text = f"the CORS rule of {ref.bucket} for {origin} permits {other} and not {method}"
            return failed("cors-method", text, f"Add {method} to the methods of the rule.", Hint.CORS)
    text = f"no CORS rule of {ref.bucket} permits {method} from {origin}"
    return failed("cors-missing", text, _APPLY, Hint.CORS)
