"""An S3 store in this process that verifies signatures, and has the faults of a sabotaged deployment.

A store without faults does everything that the broker needs, as R2 does it.
"""

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from broker.crypto import sigv4

BUCKETS = ("media", "staging")
KEY = sigv4.Credentials("AKIDOFTHESERVICE", "the secret of the service's key")
STAGING_KEY = sigv4.Credentials("AKIDOFTHESTAGING", "the secret of the staging key")

LIFECYCLE = """\
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Rule><ID>staged</ID><Status>Enabled</Status><Filter><Prefix>incoming/</Prefix></Filter>
<Expiration><Days>4</Days></Expiration></Rule>
<Rule><ID>parts</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>
<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>
</LifecycleConfiguration>"""


class Reply(NamedTuple):
    """A response of the store."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


NO_RESPONSE = Reply(0)
"""Closes the connection instead."""


class RefusalError(Exception):
    """An error of S3."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        body = f"<Error><Code>{code}</Code><Message>canary</Message></Error>".encode() if code else b"<html>no</html>"
        self.reply = Reply(status, body)


class Request(NamedTuple):
    """A request to the store."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def names(self) -> tuple[str, str]:
        """The bucket and the key."""
        bucket, _, key = unquote(self.path).lstrip("/").partition("/")
        return bucket, key


@dataclass
class Object:
    """A stored object."""

    body: bytes
    headers: dict[str, str]

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body).hexdigest()}"'


@dataclass
class FaultyStore:
    """The store. ``ignores`` has the names of conditions that it does not check.

    ``origins`` are those of its CORS rule, ``denies`` the operations that the key may not use (``write``, ``list``,
    ``lifecycle``), ``overrides`` the responses to operations, ``documents`` those at a path, ``reach`` the buckets that
    each key reaches, ``skew`` the seconds that its clock is behind ours.
    """

    ignores: set[str] = field(default_factory=set)
    denies: set[str] = field(default_factory=set)
    origins: Sequence[str] = ("https://app.example",)
    cors_headers: str = "content-type,content-md5,if-none-match,x-amz-checksum-sha256"
    cors_methods: str = "GET,PUT,HEAD"
    lifecycle: str = LIFECYCLE
    expiration: str = ""
    reach: dict[str, frozenset[str]] = field(default_factory=dict)
    keys: Sequence[sigv4.Credentials] = (KEY, STAGING_KEY)
    skew: int = 0
    code_of_denied_list: tuple[int, str] = (403, "AccessDenied")
    overrides: dict[str, Reply] = field(default_factory=dict)
    documents: dict[str, Reply] = field(default_factory=dict)
    public: set[str] = field(default_factory=lambda: {"media/"})
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    multiparts: dict[str, tuple[tuple[str, str], dict[int, bytes], dict[str, str]]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def respond(self, request: Request) -> Reply:
        with self.lock:
            try:
                return self._respond(request)
            except RefusalError as refusal:
                return refusal.reply

    def _respond(self, request: Request) -> Reply:
        operation = self._operation(request)
        self.log.append(operation)
        if request.path in self.documents:
            return self.documents[request.path]
        if operation in self.overrides:
            return self.overrides[operation]
        if request.method == "OPTIONS":
            return self._preflight(request)
        bucket, key = request.names
        if not request.query and bucket == "public":
            found = self.objects.get(("media", key)) if key.startswith(tuple(self.public)) else None
            return Reply(200, found.body) if found else Reply(404)
        self._authorise(request, bucket, operation)
        if bucket not in BUCKETS:
            raise RefusalError(404, "NoSuchBucket")
        if key and "uploadId" in request.query:
            return self._part(request, bucket, key)
        handler = {"List": self._list, "Lifecycle": self._lifecycle, "Multiparts": self._multiparts}.get(operation)
        return handler(request, bucket) if handler else self._object(request, bucket, key)

    def _operation(self, request: Request) -> str:
        method, query = request.method, request.query
        is_download = method == "GET" and not request.headers.get("range") and "media/" in request.path
        found = {
            "Preflight": method == "OPTIONS",
            "List": "list-type" in query,
            "Lifecycle": "lifecycle" in query,
            "Multiparts": "uploads" in query and method == "GET",
            f"{method} part": "uploadId" in query,
            "Copy": "x-amz-copy-source" in request.headers,
            "Download": is_download,
        }
        return next((name for name, is_found in found.items() if is_found), method)

    def _authorise(self, request: Request, bucket: str, operation: str) -> None:
        name = request.query.get("X-Amz-Credential", "").partition("/")[0]
        key = next((key for key in self.keys if key.access_key_id == name), None)
        if key is None:
            raise RefusalError(401, "Unauthorized")
        if "signature" not in self.ignores:
            self._verify(request, key)
        if bucket not in self.reach.get(name, {bucket}):
            raise RefusalError(403, "AccessDenied")
        if operation == "List" and "list" in self.denies:
            raise RefusalError(*self.code_of_denied_list)
        if operation == "Lifecycle" and "lifecycle" in self.denies:
            raise RefusalError(403, "AccessDenied")
        if request.method in ("PUT", "POST") and "write" in self.denies:
            raise RefusalError(403, "AccessDenied")

    def _verify(self, request: Request, key: sigv4.Credentials) -> None:
        """Verify the signature of a presigned URL; the faults leave out some header fields."""
        query = {name: value for name, value in request.query.items() if name != "X-Amz-Signature"}
        signed = query["X-Amz-SignedHeaders"].split(";")
        headers = {name: request.headers.get(name, "") for name in signed}
        lines = sigv4.canonical_headers(headers)
        uri, parameters = request.path, sigv4.canonical_query(query)
        text = sigv4.canonical_request(request.method, uri, parameters, lines, ";".join(signed))
        date, scope = query["X-Amz-Date"], query["X-Amz-Credential"].partition("/")[2]
        signing = sigv4.signing_key(key.secret_access_key, date[:8], scope.split("/")[1])
        to_sign = sigv4.string_to_sign(date, scope, hashlib.sha256(text.encode()).hexdigest())
        if sigv4.signature(signing, to_sign) != request.query["X-Amz-Signature"]:
            raise RefusalError(403, "SignatureDoesNotMatch")
        unsigned = {name for name in request.headers if name.startswith("x-amz-")} - set(signed)
        if unsigned and "unsigned" not in self.ignores:
            raise RefusalError(403, "AccessDenied")
        seconds = time() - self.skew - _epoch(date)
        if seconds > int(query["X-Amz-Expires"]) and "expiry" not in self.ignores:
            raise RefusalError(403, "ExpiredRequest")

    def _preflight(self, request: Request) -> Reply:
        origin = request.headers.get("origin", "")
        asked = [name for name in request.headers.get("access-control-request-headers", "").split(",") if name]
        method = request.headers.get("access-control-request-method", "")
        if (
            (origin not in self.origins and "*" not in self.origins)
            or not set(asked) <= set(self.cors_headers.split(","))
            or method not in self.cors_methods
        ):
            return Reply(403)
        return Reply(
            204,
            b"",
            {
                "access-control-allow-origin": origin,
                "access-control-allow-methods": self.cors_methods,
                "access-control-allow-headers": self.cors_headers,
            },
        )

    def _list(self, request: Request, bucket: str) -> Reply:
        prefix = request.query.get("prefix", "")
        keys = [key for place, key in sorted(self.objects) if place == bucket and key.startswith(prefix)]
        found = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        return Reply(200, f"<ListBucketResult>{found}</ListBucketResult>".encode())

    def _lifecycle(self, _request: Request, _bucket: str) -> Reply:
        if not self.lifecycle:
            raise RefusalError(404, "NoSuchLifecycleConfiguration")
        return Reply(200, self.lifecycle.encode())

    def _multiparts(self, _request: Request, bucket: str) -> Reply:
        found = "".join(
            f"<Upload><Key>{key}</Key><UploadId>{name}</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>"
            for name, ((place, key), _, _) in self.multiparts.items()
            if place == bucket
        )
        text = f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{found}</ListMultipartUploadsResult>"
        return Reply(200, text.encode())

    def _part(self, request: Request, bucket: str, key: str) -> Reply:
        name = request.query["uploadId"]
        if name not in self.multiparts:
            raise RefusalError(404, "NoSuchUpload")
        _, parts, headers = self.multiparts[name]
        if request.method == "PUT":
            parts[int(request.query["partNumber"])] = request.body
            return Reply(200, b"", {"etag": Object(request.body, {}).etag})
        if request.method == "GET":
            listed = "".join(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{Object(body, {}).etag}</ETag>"
                f"<Size>{len(body)}</Size></Part>"
                for number, body in sorted(parts.items())
            )
            return Reply(200, f"<ListPartsResult><IsTruncated>false</IsTruncated>{listed}</ListPartsResult>".encode())
        del self.multiparts[name]
        if request.method == "DELETE":
            return Reply(204)
        made = self.objects[bucket, key] = Object(b"".join(parts[number] for number in sorted(parts)), headers)
        text = f"<CompleteMultipartUploadResult><ETag>{made.etag}</ETag></CompleteMultipartUploadResult>"
        return Reply(200, text.encode())

    def _object(self, request: Request, bucket: str, key: str) -> Reply:
        if request.method == "POST":
            name = f"upload-{len(self.log)}"
            self.multiparts[name] = ((bucket, key), {}, {"content-type": request.headers.get("content-type", "")})
            return Reply(
                200, f"<R><UploadId>{name}</UploadId></R>".replace("R>", "InitiateMultipartUploadResult>").encode()
            )
        if request.method == "PUT":
            return self._put(request, bucket, key)
        if request.method == "DELETE":
            self.objects.pop((bucket, key), None)
            return Reply(204)
        found = self.objects.get((bucket, key))
        if found is None:
            raise RefusalError(404, "NoSuchKey")
        return self._read(request, found)

    def _read(self, request: Request, found: Object) -> Reply:
        headers = {**found.headers, "etag": found.etag, "last-modified": formatdate(time() - self.skew, usegmt=True)}
        if "x-amz-checksum-mode" not in request.headers or "attestation" in self.ignores:
            headers.pop("x-amz-checksum-sha256", None)
        if self.expiration:
            headers["x-amz-expiration"] = self.expiration
        span = request.headers.get("range")
        if span and not found.body:
            raise RefusalError(416, "InvalidRange")
        if not span or request.method == "HEAD":
            return Reply(200, found.body, headers)
        first, last = map(int, span.removeprefix("bytes=").split("-"))
        body = found.body[first : last + 1]
        headers["content-range"] = f"bytes {first}-{first + len(body) - 1}/{len(found.body)}"
        return Reply(206, body, headers)

    def _put(self, request: Request, bucket: str, key: str) -> Reply:
        source = request.headers.get("x-amz-copy-source")
        if source:
            return self._copy(request, bucket, key, source)
        if request.headers.get("if-none-match") and (bucket, key) in self.objects and "create-only" not in self.ignores:
            raise RefusalError(412, "PreconditionFailed")
        checksum = request.headers.get("x-amz-checksum-sha256")
        if checksum and "checksum" not in self.ignores and checksum != _sha256(request.body):
            raise RefusalError(400, "BadDigest")
        kept = {"content-type", "x-amz-checksum-sha256"} | {n for n in request.headers if n.startswith("x-amz-meta-")}
        headers = {name: value for name, value in request.headers.items() if name in kept}
        made = self.objects[bucket, key] = Object(self._kept(request.body), headers)
        return Reply(200, b"", {"etag": made.etag})

    def _kept(self, body: bytes) -> bytes:
        return body[:-1] if "last-byte" in self.ignores and body else body

    def _copy(self, request: Request, bucket: str, key: str, source: str) -> Reply:
        place, _, name = source.partition("/")
        found = self.objects.get((place, name))
        if found is None:
            raise RefusalError(404, "NoSuchKey")
        condition = request.headers.get("x-amz-copy-source-if-match", found.etag)
        if condition != found.etag and "source-condition" not in self.ignores:
            raise RefusalError(412, "PreconditionFailed")
        is_conditional = "cf-copy-destination-if-none-match" in request.headers and "copy-create" not in self.ignores
        if is_conditional and (bucket, key) in self.objects:
            raise RefusalError(412, "PreconditionFailed")
        headers = {n: v for n, v in request.headers.items() if n.startswith("x-amz-meta-") or n == "content-type"}
        self.objects[bucket, key] = Object(found.body, headers)
        moment = "2026-01-01T00:00:00.000Z"
        text = f"<CopyObjectResult><ETag>{found.etag}</ETag><LastModified>{moment}</LastModified></CopyObjectResult>"
        return Reply(200, text.encode())


def _sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _epoch(text: str) -> float:
    from datetime import UTC, datetime  # noqa: PLC0415  one use

    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


@contextmanager
def serving(store: FaultyStore) -> Iterator[str]:
    """Serve the store on this machine; yield its endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 64 * 1024  # one packet: two would meet delayed acknowledgements

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = store.respond(Request(self.command, url.path, query, headers, self.rfile.read(length)))
            if reply is NO_RESPONSE:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            fields = {"Date": formatdate(time() - store.skew, usegmt=True), **reply.headers}
            for name, value in {**fields, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD" and reply.status != 204:
                self.wfile.write(reply.body)

        def log_message(self, *_arguments: object) -> None:
            """Write nothing."""

    for method in ("GET", "PUT", "HEAD", "POST", "DELETE", "OPTIONS"):
        setattr(Handler, f"do_{method}", Handler._answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
