"""The settings of a broker process: environment variables, parsed into frozen values.

Rules of this module
- A wrong value is a fault, and all faults are raised together. A missing store is not a fault: the broker starts
  without it, logs a warning, and reports it at ``/readyz``.
- A setting that works but is likely a mistake becomes a warning in the start-up log.
- Secrets are hidden from ``repr``.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from broker.core.download_rules import DownloadAccess, DownloadPolicy
from broker.core.media import ALL_TYPES, MEDIA_TYPE_BY_NAME, types_of
from broker.core.model import Evidence
from broker.core.upload_rules import UploadPolicy
from broker.crypto.shared_secret import secret_key
from broker.crypto.sigv4 import MAX_EXPIRES_IN, Credentials
from broker.crypto.verification_key import PUBLIC_ALGORITHMS, VerificationKey

from .endpoint import jwks_url, public_base, store_endpoint
from .environment import Environment, SettingsError
from .metrics_ports import MetricsSettings, metrics_address
from .redis_url import redis_url
from .token_rules import JwksLocation, TokenRules
from .trusted_proxies import SOCKETS, TrustedProxies, trusted_network
from .variables import STORE_CONCURRENCY, VARIABLES
from .web_origins import web_origin

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)
_ROUTE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class Switch(StrEnum):
    """A setting that is on or off."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One store: its endpoint, its buckets and the credentials for them.

    ``staging_bucket`` may equal ``bucket``: then only the prefixes of keys separate staged from ready objects.
    ``concurrency`` is the number of confirmations in flight in one process, and the number of other store requests.
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
    """The settings of one process. ``store`` is ``None`` if a part of it is missing, ``metrics`` if it is unset.

    ``keep_alive`` is the number of seconds for which an idle connection is kept, ``session_lifetime`` that for which a
    session in a URL is valid. ``public_url`` is the broker's own URL, ``None`` if requests name it. ``upload_routes``
    are the routes of better-upload's client.
    """

    store: StoreSettings | None
    missing: tuple[str, ...]
    tokens: TokenRules
    uploads: UploadPolicy
    downloads: DownloadPolicy
    issuer: str
    cors_origins: tuple[str, ...]
    keep_alive: int
    rate_limit: int
    address_rate_limit: int
    trusted_proxies: TrustedProxies
    sha256_evidence: Evidence
    metrics: MetricsSettings | None
    public_url: str | None
    session_lifetime: int
    upload_routes: tuple[str, ...]
    secrets: tuple[bytes, ...] = field(repr=False)
    redis_url: str | None = field(repr=False)
    warnings: tuple[str, ...] = ()


def parse(variables: Mapping[str, str]) -> Settings:
    """Parse settings from environment variables; raise ``SettingsError`` with all faults."""
    env = Environment(variables, VARIABLES)
    env.check_names()
    store, missing = _store(env)
    tokens = _tokens(env)
    address_rate_limit = env.quantity("BROKER_ADDRESS_RATE_LIMIT")
    settings_without_tokens = partial(
        Settings,
        store=store,
        missing=missing,
        uploads=_uploads(env),
        downloads=_downloads(env),
        issuer=env.text("BROKER_ISSUER"),
        cors_origins=_origins(env),
        keep_alive=env.quantity("BROKER_KEEP_ALIVE"),
        rate_limit=env.quantity("BROKER_RATE_LIMIT"),
        address_rate_limit=address_rate_limit,
        trusted_proxies=_proxies(env, address_rate_limit),
        sha256_evidence=env.choice("SHA256_EVIDENCE", Evidence),
        metrics=env.checked("BROKER_METRICS_PORT", env.text("BROKER_METRICS_PORT"), metrics_address),
        public_url=env.checked("BROKER_PUBLIC_URL", env.text("BROKER_PUBLIC_URL"), public_base),
        session_lifetime=env.quantity("UPLOAD_SESSION_LIFETIME"),
        upload_routes=_upload_routes(env),
        secrets=_secrets(env, store),
        redis_url=env.checked("BROKER_REDIS_URL", env.secret("BROKER_REDIS_URL"), redis_url),
    )
    if env.faults or tokens is None:
        raise SettingsError(env.faults)
    return settings_without_tokens(tokens=tokens, warnings=tuple(env.warnings))


def from_environment() -> Settings:
    """Parse the settings from the environment of this process; raise ``SettingsError`` with all faults."""
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
    concurrency = env.quantity("R2_CONCURRENCY")
    missing = tuple(name for name, value in values.items() if not value)
    if missing:
        env.warnings.append(f"no store is configured: set {', '.join(missing)}")
        return None, missing
    _, key_id, secret, bucket = values.values()
    if public and staging_bucket in ("", bucket):
        env.warnings.append(
            "R2_PUBLIC_URL makes the bucket public, and uploads that are not confirmed with it: "
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
            "and R2_STAGING_SECRET_ACCESS_KEY must both be set, or neither",
        )
    return Credentials(key_id, secret) if key_id and secret else None


def _tokens(env: Environment) -> TokenRules | None:
    key = _verification_key(env)
    rules = partial(
        TokenRules,
        issuer=env.text("JWT_ISSUER") or None,
        audience=env.text("JWT_AUDIENCE") or None,
        subject_claim=env.text("JWT_SUBJECT_CLAIM"),
        service_scope=env.text("BROKER_SERVICE_SCOPE"),
        scope_claim=env.text("BROKER_SCOPE_CLAIM") or None,
        typ=env.text("JWT_TYPE") or None,
        leeway=env.quantity("JWT_LEEWAY"),
        max_lifetime=env.quantity("JWT_MAX_LIFETIME"),
    )
    return rules(key=key) if key else None


def _verification_key(env: Environment) -> VerificationKey | JwksLocation | None:
    known_faults = len(env.faults)
    secret, public, jwks = env.secret("JWT_SECRET"), env.secret("JWT_PUBLIC_KEY"), env.text("JWT_JWKS_URL")
    algorithms = env.items("JWT_ALGORITHMS")
    max_stale = env.quantity("JWT_JWKS_MAX_STALE")
    given = [
        name for name, value in (("JWT_SECRET", secret), ("JWT_PUBLIC_KEY", public), ("JWT_JWKS_URL", jwks)) if value
    ]
    if len(given) > 1:
        env.fault(given[0], f"and {given[1]} must not both be set: a deployment has one family of keys")
        return None
    found = (
        env.checked("JWT_SECRET", secret, lambda text: secret_key(text, algorithms))
        or env.checked("JWT_PUBLIC_KEY", public, lambda text: _public_key(text, algorithms))
        or env.checked("JWT_JWKS_URL", jwks, lambda text: JwksLocation(jwks_url(text), algorithms, max_stale))
    )
    if jwks and not set(algorithms) <= set(PUBLIC_ALGORITHMS):
        env.fault("JWT_ALGORITHMS", f"must be a list of: {', '.join(PUBLIC_ALGORITHMS)}")
    if not found and len(env.faults) == known_faults:
        env.fault("JWT_SECRET", "or JWT_PUBLIC_KEY or JWT_JWKS_URL must be set, to verify tokens")
    return found


def _public_key(text: str, algorithms: Sequence[str]) -> VerificationKey:
    from broker.crypto.public_key import public_key  # noqa: PLC0415  its libraries take a tenth of the start

    return public_key(text, algorithms)


def _uploads(env: Environment) -> UploadPolicy:
    default = UploadPolicy()
    url_lifetime = env.quantity("UPLOAD_URL_LIFETIME")
    policy = UploadPolicy(
        max_bytes=env.quantity("UPLOAD_MAX_BYTES"),
        multipart_threshold=env.quantity("UPLOAD_MULTIPART_THRESHOLD"),
        url_lifetime=url_lifetime,
        lifetime=env.quantity("UPLOAD_LIFETIME", least=url_lifetime),
        types=_media_types(env),
        allows_unsized=env.choice("UPLOAD_ALLOW_UNSIZED", Switch) is Switch.ON,
    )
    if policy.retention_days > default.retention_days:
        env.warnings.append(
            f"UPLOAD_LIFETIME is longer than one day: the bucket's lifecycle rules must keep incoming/ for at least "
            f"{policy.retention_days} days; those in deploy/lifecycle.json keep it for {default.retention_days} days"
        )
    return policy


def _media_types(env: Environment) -> frozenset[str]:
    """Return the canonical names of the media types that the deployment accepts."""
    patterns = env.items("UPLOAD_TYPES")
    found = [types_of(pattern) for pattern in patterns]
    if not all(found):
        env.fault("UPLOAD_TYPES", f"must be a list of: audio/*, video/*, image/*, {', '.join(MEDIA_TYPE_BY_NAME)}")
    return frozenset().union(*found) if patterns else ALL_TYPES


def _upload_routes(env: Environment) -> tuple[str, ...]:
    routes = env.items("UPLOAD_ROUTES")
    if not all(map(_ROUTE.fullmatch, routes)):
        env.fault("UPLOAD_ROUTES", "must be a list of names: each 1 to 64 letters, digits, hyphens and underscores")
    return routes


def _downloads(env: Environment) -> DownloadPolicy:
    window = env.quantity("DOWNLOAD_URL_WINDOW")
    return DownloadPolicy(
        access=env.choice("DOWNLOAD_ACCESS", DownloadAccess),
        url_lifetime=env.quantity("DOWNLOAD_URL_LIFETIME", most=MAX_EXPIRES_IN - window),
        window=window,
    )


def _origins(env: Environment) -> tuple[str, ...]:
    name = "BROKER_CORS_ORIGINS"
    return tuple(found for item in env.items(name) if (found := env.checked(name, item, web_origin)))


def _proxies(env: Environment, address_rate_limit: int) -> TrustedProxies:
    """Return the trusted proxies; warn if nothing is limited by address."""
    name = "BROKER_TRUSTED_PROXIES"
    known_faults, items = len(env.faults), env.items(name)
    networks = [env.checked(name, item, trusted_network) for item in items]
    if items and len(env.faults) == known_faults and not address_rate_limit:
        env.warnings.append(f"{name} has no effect without BROKER_ADDRESS_RATE_LIMIT: set both, or neither")
    return TrustedProxies(tuple(filter(None, networks)), trusts_sockets=SOCKETS in items)


def _secrets(env: Environment, store: StoreSettings | None) -> tuple[bytes, ...]:
    given = env.items("BROKER_SECRET", env.secret("BROKER_SECRET"))
    for item in given:
        env.checked("BROKER_SECRET", item, secret_key)  # the rules for a shared secret that signs tokens
    if given or store is None:
        return tuple(item.encode() for item in given)
    env.warnings.append(
        "BROKER_SECRET is unset and derived from R2_SECRET_ACCESS_KEY: rolling the R2 token ends all open uploads and "
        "receipts. Set BROKER_SECRET (openssl rand -hex 32)"
    )
    return (store.credentials.secret_access_key.encode(),)
