"""Signed URLs as a store reads them: bucket, key, operation, signature and expiry."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

from broker.core.model import ObjectRef
from broker.crypto.presigner import Presigner


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A URL and its parts."""

    url: str
    ref: ObjectRef
    signed_at: int
    expires_in: int
    signed_headers: tuple[str, ...]
    query: dict[str, str]

    @property
    def part(self) -> tuple[str, int] | None:
        """S3 UploadId and part number, if the URL is for a part."""
        upload_id = self.query.get("uploadId")
        return None if upload_id is None else (upload_id, int(self.query["partNumber"]))

    def is_expired(self, now: int) -> bool:
        """Return whether the store refuses it because of its age."""
        return now > self.signed_at + self.expires_in

    def is_signed(self, presigner: Presigner, method: str, headers: Mapping[str, str]) -> bool:
        """Return whether the signature belongs to this request."""
        return self.signed_again(presigner, method, headers, self.signed_at) == self.url

    def signed_again(self, presigner: Presigner, method: str, headers: Mapping[str, str], now: int) -> str:
        """Return the same URL, signed at another instant; empty if a signed header is missing."""
        sent = {name.lower(): value for name, value in headers.items()}
        if any(name not in sent for name in self.signed_headers):
            return ""
        signed = {name: sent[name] for name in self.signed_headers}
        return presigner.presign(
            method, self.ref, now=now, expires_in=self.expires_in, headers=signed, query=self.query
        )


def read(url: str) -> SignedUrl:
    """Parse a signed URL."""
    parts = urlsplit(url)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    at = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return SignedUrl(
        url,
        ObjectRef(bucket, key),
        int(at.timestamp()),
        int(given["X-Amz-Expires"]),
        tuple(name for name in given["X-Amz-SignedHeaders"].split(";") if name != "host"),
        {name: value for name, value in given.items() if not name.startswith("X-Amz-")},
    )


def with_length(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Return the headers that an HTTP client sends with this body."""
    return {**headers, "content-length": str(len(body))}
