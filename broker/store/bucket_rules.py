"""The CORS rules and lifecycle rules that a bucket needs, as S3 writes them. This module sends nothing.

Sources: developers.cloudflare.com/r2/buckets/cors and /r2/buckets/object-lifecycles.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef, LifecycleRuleTypeDef

UPLOAD_HEADERS: Final = ("content-type", "content-md5", "if-none-match", "x-amz-checksum-sha256")
"""The headers that the URL of an upload may sign; R2 needs each of them by name."""

STAGED_RULE: Final = "remove-what-was-never-confirmed"
"""ID of the lifecycle rule that removes staged objects."""

UNFINISHED_RULE: Final = "abort-unfinished-multipart-uploads"
"""ID of the lifecycle rule that aborts unfinished multipart uploads."""

METHODS: Final = ("GET", "PUT", "HEAD")
"""The methods of a bucket that has staged and ready objects."""


def cors_rule(origins: Sequence[str], methods: Sequence[str] = METHODS) -> "CORSRuleTypeDef":
    """Return the least rule by which a browser can send these ``methods``."""
    return {
        "AllowedOrigins": list(origins),
        "AllowedMethods": list(methods),
        "AllowedHeaders": list(UPLOAD_HEADERS),
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }


def staged_rule(prefix: str, days: int) -> "LifecycleRuleTypeDef":
    """Return the rule that removes staged objects under ``prefix`` after ``days``."""
    return {"ID": STAGED_RULE, "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": days}}


def unfinished_rule(days: int) -> "LifecycleRuleTypeDef":
    """Return the rule that aborts unfinished multipart uploads in the whole bucket after ``days``."""
    return {
        "ID": UNFINISHED_RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }


def lifecycle_rules(prefix: str, days: int) -> "list[LifecycleRuleTypeDef]":
    """Return the rules that remove staged objects and unfinished multipart uploads after ``days``."""
    return [staged_rule(prefix, days), unfinished_rule(days)]


def prefix_of(rule: Mapping[str, Any]) -> str:
    """Return the prefix of a lifecycle rule, which stores write in two places, or leave out if it is empty."""
    found = rule.get("Filter", {}).get("Prefix") or rule.get("Prefix")
    return str(found or "")


def is_enabled(rule: Mapping[str, Any]) -> bool:
    """Return whether a lifecycle rule is in effect."""
    return rule.get("Status") == "Enabled"


def days_to_removal(rule: Mapping[str, Any]) -> int | None:
    """Return the days after which a lifecycle rule removes objects; ``None`` if it does not, or at a date."""
    days = rule.get("Expiration", {}).get("Days")
    return None if days is None else int(days)


def days_to_abort(rule: Mapping[str, Any]) -> int | None:
    """Return the days after which a lifecycle rule aborts multipart uploads; ``None`` if it does not."""
    days = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
    return None if days is None else int(days)
