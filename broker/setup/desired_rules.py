"""The rules that the buckets of a deployment need, by its settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker.core.object_keys import STAGING_PREFIX
from broker.settings import Settings, StoreSettings
from broker.store.admin import Rule
from broker.store.bucket_rules import METHODS, cors_rule, staged_rule, unfinished_rule

_STAGED_METHODS: Final = ("PUT",)
_READY_METHODS: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class BucketNeeds:
    """One bucket, what it holds, and the rules that it needs. No CORS rules: no page may use the bucket."""

    bucket: str
    holds: str
    cors: Sequence[Rule]
    lifecycle: Sequence[Rule]


def bucket_needs(settings: Settings, store: StoreSettings) -> list[BucketNeeds]:
    """Return the needs of each bucket, that of staged objects first.

    A tombstone must outlive every upload id with its key, so staged objects stay for ``retention_days``.
    """
    days, origins = settings.uploads.retention_days, settings.cors_origins
    staged, unfinished = staged_rule(STAGING_PREFIX, days), unfinished_rule(days)
    if store.bucket == store.staging_bucket:
        return [
            BucketNeeds(store.bucket, "staged and ready objects", _cors(origins, METHODS), [staged, unfinished]),
        ]
    return [
        BucketNeeds(store.staging_bucket, "staged objects", _cors(origins, _STAGED_METHODS), [staged, unfinished]),
        BucketNeeds(store.bucket, "ready objects", _cors(origins, _READY_METHODS), [unfinished]),
    ]


def _cors(origins: Sequence[str], methods: Sequence[str]) -> list[Rule]:
    return [cors_rule(origins, methods)] if origins else []
