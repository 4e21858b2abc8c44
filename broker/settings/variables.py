"""Every environment variable that the broker reads: name, default, kind, bounds and meaning.

``.env.example`` and the table of settings in the documentation are tested against this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from broker.core.limits import OBJECT_MAX, PUT_MAX
from broker.core.upload_rules import DAY
from broker.crypto.sigv4 import MAX_EXPIRES_IN

Kind = Literal["text", "secret", "list", "choice", "number", "size", "duration"]
"""How a value is read. A secret may also come from the file that ``NAME_FILE`` names."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    ``default`` is written as in ``.env``; an empty one means that the variable is unset. ``least`` and ``most`` bound
    a number, a size (in bytes) or a duration (in seconds).
    """

    name: str
    kind: Kind
    meaning: str
    default: str = ""
    least: int = 0
    most: int = 0


STORE_CONCURRENCY: Final = 64
"""Default of ``R2_CONCURRENCY``.

R2 documents a limit for single objects only (developers.cloudflare.com/r2/platform/limits).
"""

_TABLE: Final = (
    # The store
    Variable("R2_ACCOUNT_ID", "text", "Cloudflare account ID, from which the endpoint follows"),
    Variable("R2_ENDPOINT", "text", "URL of the S3 endpoint, in place of the account ID"),
    Variable("R2_JURISDICTION", "choice", "jurisdiction of the bucket; unset: default"),
    Variable("R2_ACCESS_KEY_ID", "text", "access key ID of the R2 API token"),
    Variable("R2_SECRET_ACCESS_KEY", "secret", "secret access key of the R2 API token"),
    Variable("R2_BUCKET_NAME", "text", "bucket of ready objects"),
    Variable("R2_PUBLIC_URL", "text", "base URL of a public bucket"),
    Variable("R2_STAGING_BUCKET_NAME", "text", "bucket of staged objects; unset: the bucket of ready objects"),
    Variable("R2_STAGING_ACCESS_KEY_ID", "text", "access key ID for the staging bucket"),
    Variable("R2_STAGING_SECRET_ACCESS_KEY", "secret", "secret access key for the staging bucket"),
    Variable(
        "R2_CONCURRENCY",
        "number",
        "confirmations in flight, and other store requests",
        str(STORE_CONCURRENCY),
        4,
        1024,
    ),
    # Tokens
    Variable("JWT_SECRET", "secret", "shared secret that verifies HMAC tokens"),
    Variable("JWT_SECRET_PREVIOUS", "secret", "former shared secret, whose tokens are accepted too"),
    Variable("JWT_PUBLIC_KEY", "secret", "public key that verifies tokens, in PEM or as a JWK"),
    Variable("JWT_JWKS_URL", "text", "URL of the identity service's JWK Set"),
    Variable("JWT_JWKS_MAX_STALE", "duration", "lifetime of loaded keys without a refresh", "1d", 300, 7 * DAY),
    Variable("JWT_ALGORITHMS", "list", "accepted algorithms; unset: all that the key allows"),
    Variable("JWT_ISSUER", "text", "required iss claim"),
    Variable("JWT_AUDIENCE", "text", "required aud claim"),
    Variable("JWT_TYPE", "text", "required typ header parameter"),
    Variable("JWT_SUBJECT_CLAIM", "text", "claim that names the user", "sub"),
    Variable("JWT_LEEWAY", "duration", "tolerated clock difference", "30s", 0, 300),
    Variable("JWT_MAX_LIFETIME", "duration", "longest time until a token's exp", "31d", 60, 366 * DAY),
    Variable("BROKER_SERVICE_SCOPE", "text", "scope that makes a token a service's", "broker:service"),
    Variable("BROKER_SCOPE_CLAIM", "text", "claim with the scopes; unset: scope and scp"),
    # The broker
    Variable("BROKER_SECRET", "secret", "secrets that seal upload ids and sign receipts; the first seals, all open"),
    Variable("BROKER_ISSUER", "text", "iss claim of receipts", "r2-upload-broker"),
    Variable("BROKER_RATE_LIMIT", "number", "cost that one user may spend per minute; 0: no limit", "3000", 0, 10**9),
    Variable("BROKER_ADDRESS_RATE_LIMIT", "number", "requests per minute of one address; 0: no limit", "0", 0, 10**9),
    Variable("BROKER_TRUSTED_PROXIES", "list", "proxies whose X-Forwarded-For names the client"),
    Variable("BROKER_REDIS_URL", "secret", "Redis or Valkey that counts for all processes; unset: each counts alone"),
    Variable("BROKER_PUBLIC_URL", "text", "URL of the broker as clients reach it; unset: that of the request"),
    Variable("BROKER_CORS_ORIGINS", "list", "web origins that may call the API"),
    Variable("BROKER_KEEP_ALIVE", "duration", "time for which an idle connection is kept", "75s", 1, 3600),
    Variable("BROKER_METRICS_PORT", "text", "address and ports of /metrics; unset: no metrics"),
    # Uploads and downloads
    Variable("UPLOAD_MAX_BYTES", "size", "largest file", "5GiB", 1, OBJECT_MAX),
    Variable("UPLOAD_MULTIPART_THRESHOLD", "size", "larger files are uploaded in parts", "16MiB", 1, PUT_MAX),
    Variable("UPLOAD_URL_LIFETIME", "duration", "lifetime of a PUT URL", "15m", 10, DAY),
    Variable("UPLOAD_LIFETIME", "duration", "time in which an upload must be confirmed", "1d", 10, MAX_EXPIRES_IN),
    Variable("UPLOAD_TYPES", "list", "accepted media types; unset: all"),
    Variable("UPLOAD_ALLOW_UNSIZED", "choice", "whether Uppy may upload a file without its size", "off"),
    Variable("UPLOAD_SESSION_LIFETIME", "duration", "lifetime of a session in a URL", "15m", 60, DAY),
    Variable("UPLOAD_ROUTES", "list", "routes of better-upload's client; unset: none"),
    Variable("SHA256_EVIDENCE", "choice", "evidence for a declared SHA-256", "upload"),
    Variable("DOWNLOAD_ACCESS", "choice", "who may get download URLs", "authenticated"),
    Variable("DOWNLOAD_URL_LIFETIME", "duration", "default and longest lifetime of a GET URL", "1h", 1, MAX_EXPIRES_IN),
    Variable("DOWNLOAD_URL_WINDOW", "duration", "time within which GET URLs stay equal; 0: off", "5m", 0, DAY),
)

VARIABLES: Final[Mapping[str, Variable]] = MappingProxyType({variable.name: variable for variable in _TABLE})
"""The table by the variables' names, in the order of ``.env.example``."""
