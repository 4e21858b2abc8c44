"""Deployments to examine: their settings, and the report about them."""

from collections.abc import Mapping
from typing import Any

from broker.doctor.examination import examine
from broker.doctor.findings import Finding, Report, Status
from broker.service.assembly import Deployment, assemble
from broker.settings import parse
from tests.settings.test_settings import SECRET

from .faulty_store import KEY, STAGING_KEY

ORIGIN = "https://app.example"
HEALTHY: Mapping[str, str] = {
    "R2_ACCESS_KEY_ID": KEY.access_key_id,
    "R2_SECRET_ACCESS_KEY": KEY.secret_access_key,
    "R2_BUCKET_NAME": "media",
    "JWT_SECRET": SECRET,
    "BROKER_SECRET": "the broker's own secret of 32 characters",
    "BROKER_CORS_ORIGINS": ORIGIN,
}
TWO_BUCKETS: Mapping[str, str] = {
    "R2_STAGING_BUCKET_NAME": "staging",
    "R2_STAGING_ACCESS_KEY_ID": STAGING_KEY.access_key_id,
    "R2_STAGING_SECRET_ACCESS_KEY": STAGING_KEY.secret_access_key,
}


def deployment(endpoint: str, **changes: str) -> Deployment:
    """Return a deployment at a store on this machine."""
    return assemble(parse({"R2_ENDPOINT": endpoint, **HEALTHY, **changes}))


async def examined(endpoint: str, *, token: str | None = None, **changes: str) -> Report:
    """Return the report about a deployment."""
    examined = deployment(endpoint, **changes)
    try:
        return await examine(examined, token=token, has_admin_key=False)
    finally:
        await examined.close()


def complaints(report: Report) -> dict[str, Finding]:
    """Return the warnings and failures of a report by their names."""
    found: dict[str, Any] = {}
    for category in report.categories:
        for finding in category.findings:
            if finding.status in (Status.WARNING, Status.FAILED):
                found[finding.name] = finding
    return found


def names(report: Report) -> set[str]:
    """Return the names of all findings of a report."""
    return {finding.name for category in report.categories for finding in category.findings}
