"""Checks of the lifecycle rules of the buckets.

The key of the service may lack the right to read them. Then the expiry date that R2 sends with an object shows the rule
for staged objects (developers.cloudflare.com/r2/buckets/object-lifecycles).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from broker.core.model import ObjectRef
from broker.core.object_keys import READY_PREFIX, STAGING_PREFIX
from broker.core.tombstone import HEADERS
from broker.core.upload_rules import DAY
from broker.store.bucket_rules import days_to_abort, days_to_removal, is_enabled, prefix_of
from broker.store.dates import http_date
from broker.store.s3_responses import error_code, local_name, root_of

from .findings import Finding, Hint, failed, not_checked, passed, warned
from .subject import Subject
from .wire import NoResponseError, Wire, text_of

Rule = Mapping[str, Any]

_EXPIRY: Final = re.compile(r'expiry-date="([^"]+)"')
_APPLY: Final = "Run broker setup --apply, or correct the rules of the bucket."
_NO_RULES: Final = "NoSuchLifecycleConfiguration"


async def check_lifecycle(subject: Subject) -> list[Finding]:
    """Return the findings about the lifecycle rules of each bucket."""
    store, found = subject.configured, []
    try:
        rules = await _read(subject.staging_wire, store.staging_bucket)
        if isinstance(rules, str):
            found.append(await _by_expiry_date(subject, rules))
        else:
            found += check_rules(rules, store.staging_bucket, subject.settings.uploads.retention_days)
        if subject.has_two_buckets:
            rules = await _read(subject.ready_wire, store.bucket)
            found += (
                [not_checked("lifecycle", f"the rules of {store.bucket} were not read: {rules}")]
                if isinstance(rules, str)
                else _ready_rules(rules, store.bucket)
            )
    except NoResponseError as error:
        return [not_checked("lifecycle", f"the store did not respond: {error}")]
    return found


def check_rules(rules: Sequence[Rule], bucket: str, least: int) -> list[Finding]:
    """Return the findings about the rules of a bucket with staged objects, which must stay ``least`` days."""
    enabled = [rule for rule in rules if is_enabled(rule)]
    days = [found for rule in enabled if _covers(rule, STAGING_PREFIX) and (found := days_to_removal(rule)) is not None]
    early = [
        found for rule in enabled if _touches(rule, STAGING_PREFIX) and (found := days_to_removal(rule)) is not None
    ]
    findings = []
    if early and min(early) < least:
        text = f"{bucket} removes staged objects after {min(early)} days, and tombstones must stay {least}"
        findings.append(failed("lifecycle-too-short", text, _APPLY, Hint.LIFECYCLE))
    elif days:
        findings.append(passed("lifecycle", f"{bucket} removes staged objects after {min(days)} days"))
    else:
        text = f"no lifecycle rule of {bucket} removes staged objects, so files that are never confirmed stay for ever"
        findings.append(failed("lifecycle-missing", text, _APPLY, Hint.LIFECYCLE))
    return findings + _abort_rules(enabled, bucket, least) + _ready_removal(enabled, bucket)


def _ready_rules(rules: Sequence[Rule], bucket: str) -> list[Finding]:
    enabled = [rule for rule in rules if is_enabled(rule)]
    return _abort_rules(enabled, bucket, 1) + _ready_removal(enabled, bucket)


def _abort_rules(enabled: Sequence[Rule], bucket: str, least: int) -> list[Finding]:
    days = [found for rule in enabled if (found := days_to_abort(rule)) is not None]
    if not days:
        text = f"no lifecycle rule of {bucket} aborts unfinished multipart uploads, whose parts are paid for"
        return [warned("lifecycle-abort-missing", text, _APPLY, Hint.LIFECYCLE)]
    if min(days) < least:
        text = f"{bucket} aborts multipart uploads after {min(days)} days, and they may take {least}"
        return [failed("lifecycle-abort-too-short", text, _APPLY, Hint.LIFECYCLE)]
    return [passed("lifecycle-abort", f"{bucket} aborts unfinished multipart uploads after {min(days)} days")]


def _ready_removal(enabled: Sequence[Rule], bucket: str) -> list[Finding]:
    removing = [rule for rule in enabled if rule.get("Expiration") and _touches(rule, READY_PREFIX)]
    return [
        warned(
            "lifecycle-ready",
            f"the lifecycle rule {rule.get('ID', '')!r} of {bucket} removes ready objects",
            "Limit the rule to other keys, unless that is intended.",
            Hint.LIFECYCLE,
        )
        for rule in removing
    ]


async def _by_expiry_date(subject: Subject, reason: str) -> Finding:
    """Return what the expiry date of a staged object shows; it is a tombstone, as the rule must keep those."""
    ref = subject.names.staged(subject.configured.staging_bucket)
    await subject.staging_store.put_empty(ref, headers=HEADERS)
    response = await subject.staging_wire.call("HeadObject", "HEAD", ref)
    match = _EXPIRY.search(response.headers.get("x-amz-expiration", ""))
    expires_at = http_date(match[1]) if match else None
    if expires_at is None:
        return not_checked("lifecycle", f"the lifecycle rules were not read: {reason}. broker setup shows them")
    days, least = round((expires_at - response.received_at) / DAY), subject.settings.uploads.retention_days
    if days < least:
        text = f"staged objects are removed after {days} days, and tombstones must stay {least}"
        return failed("lifecycle-too-short", text, _APPLY, Hint.LIFECYCLE)
    return passed("lifecycle", f"staged objects are removed after {days} days, by the expiry date of one")


async def _read(wire: Wire, bucket: str) -> list[Rule] | str:
    """Return the rules of a bucket, or the reason why the store does not return them."""
    response = await wire.call("GetBucketLifecycleConfiguration", "GET", ObjectRef(bucket, ""), query={"lifecycle": ""})
    if response.status == 404 and error_code(response) == _NO_RULES:
        return []
    root = root_of(response)
    if response.status != 200 or root is None or local_name(root) != "LifecycleConfiguration":
        return text_of(response)
    return [_rule(element) for element in root.iterfind("{*}Rule")]


def _rule(element: ET.Element) -> Rule:
    """Return one rule in the form of boto3, as far as it is examined."""
    text = {name: element.findtext(f"{{*}}{name}", "") for name in ("ID", "Status", "Prefix")}
    expiration, abort = element.find("{*}Expiration"), element.find("{*}AbortIncompleteMultipartUpload")
    prefix = element.findtext("{*}Filter/{*}Prefix") or element.findtext("{*}Filter/{*}And/{*}Prefix", "")
    return {
        **text,
        "Filter": {"Prefix": prefix},
        "Expiration": _members(expiration),
        "AbortIncompleteMultipartUpload": _members(abort),
    }


def _members(element: ET.Element | None) -> dict[str, str]:
    return {} if element is None else {local_name(child): child.text or "" for child in element}


def _covers(rule: Rule, prefix: str) -> bool:
    return prefix.startswith(prefix_of(rule))


def _touches(rule: Rule, prefix: str) -> bool:
    return _covers(rule, prefix) or prefix_of(rule).startswith(prefix)
