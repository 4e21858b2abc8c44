"""The configuration: an environment, read once, into frozen values. Every name the broker knows is read here.

Rules of this module
- A wrong value is a fault, and all faults are raised together. A missing store is no fault: the broker starts
  without it, warns once, and says so at ``/readyz``.
- What works but is likely a mistake is a warning, for the start-up log.
- Secrets are hidden from ``repr``.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from broker.core.limits import OBJECT_MAX, PUT_MAX
from broker.core.model import Evidence
from broker.core.upload_rules import STORE_CONCURRENCY, DownloadAccess, DownloadPolicy, UploadPolicy
from broker.crypto.sigv4 import MAX_EXPIRES_IN, Credentials
from broker.crypto.verification_key import (
    PUBLIC_ALGORITHMS,
    JwksLocation,
    TokenRules,
    VerificationKey,
    public_key,
    secret_key,
)

from .endpoint import jwks_url, origin, public_base, store_endpoint
from .environment import Environment, SettingsError
from .metrics_ports import MetricsSettings, metrics_place

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One store: where it is, its buckets, and who we are there.

    ``staging_bucket`` may be ``bucket`` itself: then the prefixes alone keep staged and ready objects apart.
    ``concurrency`` is how many confirmations a process works on at once, and how many other calls it makes.
    """

    endpoint: str
    bucket: str
    credentials: Credentials
    staging_bucket: str
    staging_credentials: Credentials
    public_url: str | None
    concurrency: int = STORE_CONCURRENCY


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a broker process is told. ``store`` is ``None`` when a part of it is missing, ``metrics`` when unset."""

    store: StoreSettings | None
    missing: tuple[str, ...]
    tokens: TokenRules
    uploads: UploadPolicy
    downloads: DownloadPolicy
    issuer: str
    cors_origins: tuple[str, ...]
    rate_limit: int
    sha256_evidence: Evidence
    metrics: MetricsSettings | None
    secrets: tuple[bytes, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


def parse(variables: Mapping[str, str]) -> Settings:
    """The settings in ``variables``; raises ``SettingsError`` with every fault at once."""
    env = Environment(variables)
    store, missing = _store(env)
    tokens = _tokens(env)
    settings_without_tokens = partial(
        Settings,
        store=store,
        missing=missing,
        uploads=_uploads(env),
        downloads=_downloads(env),
        issuer=env.text("BROKER_ISSUER", "r2-upload-broker"),
        cors_origins=_origins(env),
        rate_limit=env.number("BROKER_RATE_LIMIT", 3000, least=0, most=10**9),
        sha256_evidence=env.choice("SHA256_EVIDENCE", Evidence.UPLOAD),
        metrics=env.checked("BROKER_METRICS_PORT", env.text("BROKER_METRICS_PORT"), metrics_place),
        secrets=_secrets(env, store),
    )
    if env.faults or tokens is None:
        raise SettingsError(env.faults)
    return settings_without_tokens(tokens=tokens, warnings=tuple(env.warnings))


def from_environment() -> Settings:
    """The settings of this process; raises ``SettingsError``."""
    return parse(os.environ)


def _store(env: Environment) -> tuple[StoreSettings | None, tuple[str, ...]]:
    endpoint = store_endpoint(env)
    values = {
        "R2_ENDPOINT (or R2_ACCOUNT_ID)": endpoint,
        "R2_ACCESS_KEY_ID": env.text("R2_ACCESS_KEY_ID"),
        "R2_SECRET_ACCESS_KEY": env.secret("R2_SECRET_ACCESS_KEY"),
        "R2_BUCKET_NAME": _bucket(env, "R2_BUCKET_NAME"),
    }
    staging_bucket = _bucket(env, "R2_STAGING_BUCKET_NAME")
    staging = _staging_credentials(env)
    public = env.checked("R2_PUBLIC_URL", env.text("R2_PUBLIC_URL"), public_base)
    concurrency = env.number("R2_CONCURRENCY", STORE_CONCURRENCY, least=4, most=1024)
    missing = tuple(name for name, value in values.items() if not value)
    if missing:
        env.warnings.append(f"no store is configured: set {', '.join(missing)}")
        return None, missing
    _, key_id, secret, bucket = values.values()
    if public and staging_bucket in ("", bucket):
        env.warnings.append(
            "R2_PUBLIC_URL makes the bucket public, and with it what was uploaded and never confirmed: "
            "set R2_STAGING_BUCKET_NAME to a private bucket"
        )
    credentials = Credentials(key_id, secret)
    return (
        StoreSettings(
            endpoint, bucket, credentials, staging_bucket or bucket, staging or credentials, public, concurrency
        ),
        (),
    )


def _bucket(env: Environment, name: str) -> str:
    value = env.text(name)
    if value and not _BUCKET.fullmatch(value):
        env.fault(name, "must be a bucket name: 3 to 63 lower-case letters, digits and inner hyphens")
        return ""
    return value


def _staging_credentials(env: Environment) -> Credentials | None:
    key_id, secret = env.text("R2_STAGING_ACCESS_KEY_ID"), env.secret("R2_STAGING_SECRET_ACCESS_KEY")
    if bool(key_id) != bool(secret):
        env.fault(
            "R2_STAGING_ACCESS_KEY_ID",
            "and R2_STAGING_SECRET_ACCESS_KEY belong together; set both or neither",
        )
    return Credentials(key_id, secret) if key_id and secret else None


def _tokens(env: Environment) -> TokenRules | None:
    key = _verification_key(env)
    rules = partial(
        TokenRules,
        issuer=env.text("JWT_ISSUER") or None,
        audience=env.text("JWT_AUDIENCE") or None,
        subject_claim=env.text("JWT_SUBJECT_CLAIM", "sub"),
        service_scope=env.text("BROKER_SERVICE_SCOPE", "broker:service"),
        typ=env.text("JWT_TYPE") or None,
        leeway=env.duration("JWT_LEEWAY", 30, least=0, most=300),
        max_lifetime=env.duration("JWT_MAX_LIFETIME", 31 * 86_400, least=60, most=366 * 86_400),
    )
    return rules(key=key) if key else None


def _verification_key(env: Environment) -> VerificationKey | JwksLocation | None:
    known_faults = len(env.faults)
    secret, public, jwks = env.secret("JWT_SECRET"), env.secret("JWT_PUBLIC_KEY"), env.text("JWT_JWKS_URL")
    algorithms = env.items("JWT_ALGORITHMS")
    max_stale = env.duration("JWT_JWKS_MAX_STALE", 86_400, least=300, most=7 * 86_400)
    given = [
        name for name, value in (("JWT_SECRET", secret), ("JWT_PUBLIC_KEY", public), ("JWT_JWKS_URL", jwks)) if value
    ]
    if len(given) > 1:
        env.fault(given[0], f"and {given[1]} are both set; a deployment has one family of keys")
        return None
    found = (
        env.checked("JWT_SECRET", secret, lambda text: secret_key(text, algorithms))
        or env.checked("JWT_PUBLIC_KEY", public, lambda text: public_key(text, algorithms))
        or env.checked("JWT_JWKS_URL", jwks, lambda text: JwksLocation(jwks_url(text), algorithms, max_stale))
    )
    if jwks and not set(algorithms) <= set(PUBLIC_ALGORITHMS):
        env.fault("JWT_ALGORITHMS", f"must be some of {', '.join(PUBLIC_ALGORITHMS)}")
    if not found and len(env.faults) == known_faults:
        env.fault("JWT_SECRET", "or JWT_PUBLIC_KEY or JWT_JWKS_URL must be set: without it no token can be verified")
    return found


def _uploads(env: Environment) -> UploadPolicy:
    default = UploadPolicy()
    url_lifetime = env.duration("UPLOAD_URL_LIFETIME", default.url_lifetime, least=10, most=86_400)
    policy = UploadPolicy(
        max_bytes=env.size("UPLOAD_MAX_BYTES", default.max_bytes, least=1, most=OBJECT_MAX),
        multipart_threshold=env.size("UPLOAD_MULTIPART_THRESHOLD", default.multipart_threshold, least=1, most=PUT_MAX),
        url_lifetime=url_lifetime,
        lifetime=env.duration(
            "UPLOAD_LIFETIME", max(default.lifetime, url_lifetime), least=url_lifetime, most=MAX_EXPIRES_IN
        ),
    )
    if policy.retention_days > default.retention_days:
        env.warnings.append(
            f"UPLOAD_LIFETIME is longer than a day: the bucket's lifecycle rules must keep incoming/ for at least "
            f"{policy.retention_days} days, and those in deploy/lifecycle.json keep it for {default.retention_days}"
        )
    return policy


def _downloads(env: Environment) -> DownloadPolicy:
    default = DownloadPolicy()
    window = env.duration("DOWNLOAD_URL_WINDOW", default.window, least=0, most=86_400)
    return DownloadPolicy(
        access=env.choice("DOWNLOAD_ACCESS", DownloadAccess.AUTHENTICATED),
        url_lifetime=env.duration("DOWNLOAD_URL_LIFETIME", default.url_lifetime, least=1, most=MAX_EXPIRES_IN - window),
        window=window,
    )


def _origins(env: Environment) -> tuple[str, ...]:
    name = "BROKER_CORS_ORIGINS"
    return tuple(found for item in env.items(name) if (found := env.checked(name, item, origin)))


def _secrets(env: Environment, store: StoreSettings | None) -> tuple[bytes, ...]:
    given = env.items("BROKER_SECRET", env.secret("BROKER_SECRET"))
    for item in given:
        env.checked("BROKER_SECRET", item, secret_key)  # as random as any secret that signs
    if given or store is None:
        return tuple(item.encode() for item in given)
    env.warnings.append(
        "BROKER_SECRET is derived from R2_SECRET_ACCESS_KEY: rolling the R2 token ends all open uploads and receipts. "
        "Set BROKER_SECRET (openssl rand -hex 32)"
    )
    return (store.credentials.secret_access_key.encode(),)


__all__ = ["MetricsSettings", "Settings", "SettingsError", "StoreSettings", "from_environment", "parse"]
