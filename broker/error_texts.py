"""All texts of errors that a client can read, as two tables to be reviewed as a whole.

Rules of this module
- A ``Detail`` is the sentence or two of an error. A ``Rule`` is the phrase of a fault, which follows its field's name.
- A text names the field or object, the rule, the received value where that is harmless, and the remedy.
- It has at most 20 words, and never a secret, a token, a URL or the data of another user.
- Code that raises an error uses these names, and adds values with ``format``.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Detail(StrEnum):
    """Texts of ``BrokerError.detail``."""

    # Any request
    FIELD = "{field} {rule}."
    BODY = "The body {rule}."
    INTERNAL = "The broker failed unexpectedly. If this persists, send the request id to its operator."
    RESOURCE_NOT_FOUND = "The resource does not exist. Check the path against the API description."
    METHOD_NOT_ALLOWED = "The method must be one of: {allowed}."
    RATE_LIMITED = "The rate limit is exceeded. Nothing was changed. Retry after {retry_after} seconds."
    TOO_MANY_CONNECTIONS = "All connections of this server are in use. Retry after {retry_after} seconds."

    # HTTP syntax and limits
    HTTP_MALFORMED = "The request must be valid HTTP/1.1. Check the client and the proxies before the broker."
    HTTP_VERSION = "The HTTP version must be 1.1 or 1.0, not {received}."
    TUNNEL = "The request must not open a tunnel, because the broker is not a proxy. Use the paths of the API."
    HOST = "The request must have exactly one valid Host header field."
    TARGET_TOO_LONG = "The request target must have at most {limit} bytes. Use a shorter URL."
    HEAD_TOO_LARGE = "The request must have at most {fields} header fields with at most {limit} bytes in total."
    HEAD_TIMEOUT = "The request head must arrive within {seconds} seconds. Send the request again."
    BODY_TIMEOUT = "The request body must arrive within {seconds} seconds. Send the request again."
    BODY_INCOMPLETE = "The body ended before it was complete. Send the request again."
    LENGTH_REQUIRED = (
        'The request must have either a Content-Length or exactly "Transfer-Encoding: chunked" in HTTP/1.1.'
    )
    CHUNK_LINE = "The line before a chunk must have at most {limit} bytes. Omit chunk extensions."
    CHUNK_FRAMING = "The framing of a chunked body must have at most {limit} bytes. Send longer chunks."
    CONTENT_LENGTH = "The Content-Length must be a whole number of bytes."
    CONTENT_ENCODING = "The body must not be compressed. Send it without a Content-Encoding header field."
    CONTENT_TYPE = "The Content-Type of the body must be application/json, and its encoding UTF-8."
    BODY_TOO_LARGE = "The body must have at most {limit} bytes, not {received}. Send less in one request."
    CHUNKED_TOO_LARGE = "The body must have at most {limit} bytes. Send less in one request."

    # Forms
    FORM_TYPE = "The Content-Type of the body must be multipart/form-data with a boundary."
    FORM = "The body must be one complete form in multipart/form-data. Check the client that encodes it."
    FORM_ENCODING = "The Content-Transfer-Encoding of the file must be binary, not base64 or quoted-printable."
    FORM_LIMITS = (
        "The form must have at most {limit} bytes besides its files, in at most {parts} parts with short heads."
    )
    FORM_TIMEOUT = "The form must arrive within {seconds} seconds, at {rate} bytes a second or faster. Send it again."
    NO_FILE = "The form must have a file with a name in the field {field}."
    EMPTY_FILE = "The file must have at least 1 byte. Check that it was saved completely."

    # Authentication and permission
    UNAUTHENTICATED = "A valid bearer token is required in the Authorization header field."
    AUTHORIZATION_REPEATED = "The request must not have more than one Authorization header field."
    KEYS_UNAVAILABLE = (
        "The token verification keys are unavailable. Nothing was changed. Retry after {retry_after} seconds."
    )
    DELETE_MANY_FORBIDDEN = "Deleting many objects at once requires the service scope. Delete them one by one."
    DOWNLOAD_FORBIDDEN = "A download link requires the service scope. Request it through your own service."

    # The store
    STORAGE_UNAVAILABLE = "The object store did not respond as expected. It is safe to retry the request."
    STORAGE_NOT_CONFIGURED = "R2 credentials are missing. Please configure {missing}."

    # Uploads
    UPLOAD_NOT_FOUND = "The upload does not exist. Check the upload id, or create a new upload."
    SESSION_OR_UPLOAD_NOT_FOUND = (
        "The session or the upload does not exist, or has expired. Start a new session, or a new upload."
    )
    UPLOAD_EXPIRED = "The upload was not confirmed in time. Create a new upload."
    UPLOAD_DELETED = "The upload was deleted, which is final. Create a new upload to send the file again."
    UPLOAD_CONFIRMED = "The upload is already confirmed. To remove its object, delete the object by its key."
    NOT_UPLOADED = "The file is not uploaded yet. Send it to the upload's URL, then confirm the upload."

    # Uploads in parts
    NOT_MULTIPART = "The upload does not have parts. Send the file in one PUT to the upload's URL."
    PART_NUMBERS = "The part numbers must be 1 to {count}, not {unknown}."
    PARTS_MISSING = "These of {count} parts are missing: {missing}. Send them, then confirm."
    PARTS_MISMATCH = "These stored parts do not match the upload: {numbers}. Send them again."
    PARTS_REMOVED = "The parts of the upload were removed from the store. Create a new upload."

    # Verification of the stored object
    CONTENT_ENCODING_STORED = (
        "The object must not have a Content-Encoding. Create a new upload and send the file without that header field."
    )
    SIZE_MISMATCH = "The stored object must have {declared} bytes, not {stored}. Create a new upload."
    TYPE_MISMATCH = "The Content-Type of the stored object must be {declared}, not {stored}. Create a new upload."
    MD5_MISMATCH = "The MD5 of the stored object must be the declared one. Create a new upload."
    SHA256_MISMATCH = "The SHA-256 of the stored object must be the declared one. Create a new upload."
    CONTENT_MISMATCH = (
        "The object must be {declared}, but its bytes look like {found}. Check the file and its contentType."
    )
    CONTENT_INVALID = (
        "The object must be {declared}, but does not begin as such a file must. Check whether it is damaged."
    )

    # Objects
    OBJECT_NOT_FOUND = "The object does not exist. Check its key."
    URL_NOT_FOUND = "The URL must be one of a ready object of this deployment."


class Rule(StrEnum):
    """Texts of ``Fault.detail``, each a phrase that follows the name of the field."""

    # JSON documents (RFC 8259, RFC 7493)
    JSON = "must be one JSON document in UTF-8"
    JSON_OBJECT = "must be one JSON object"
    JSON_DUPLICATE_KEYS = "must not contain duplicate keys"
    JSON_FINITE = "must contain finite numbers only"
    JSON_DEPTH = "must not nest deeper than {limit} levels"
    SURROGATES = "must not contain lone surrogates"

    # Shapes of fields
    REQUIRED = "is required"
    UNKNOWN_FIELD = "is not a known field"
    JSON_TYPE = "must be {expected}, not {received}"
    ITEMS_MIN = "must have at least 1 item"
    ITEMS_MAX = "must have at most {limit} items"
    INVALID = "must have the form in the API description"

    # Query parameters and header fields
    PARAMETERS_UNKNOWN = "must have no parameters but {known}"
    PARAMETERS_NONE = "must have no parameters"
    PARAMETER_REPEATED = "must not be repeated"
    PARAMETER_UTF_8 = "must be percent-encoded UTF-8"
    IDEMPOTENCY_KEY = "must be one value of 1 to {limit} printable ASCII characters"

    # A declared file
    FILENAME_LENGTH = "must have at most {limit} characters"
    FILENAME_NFC_LENGTH = "must have at most {limit} characters in Unicode NFC"
    FILENAME_EMPTY = "must be the name of a file, not blank and not only dots"
    FILENAME_CONTROLS = "must not contain control characters"
    FILENAME_SEPARATORS = "must not contain line separators"
    CONTENT_TYPE = 'must be one of {accepted}, not "{received}"'
    CONTENT_TYPE_REFUSED = 'must be one of {accepted}, not "{received}": {remedy}'
    CONTENT_TYPE_UNNAMED = 'must be one of {accepted}, not "{received}" with the extension "{extension}"'
    SIZE_MIN = "must be at least 1 byte, not {received}"
    FILE_MAX = "must have at most {limit} bytes"
    SIZE_MAX = "must be at most {limit} bytes, not {received}"
    CHECKSUM = "must be {length} bytes in base64 or hex"
    CHECKSUM_IN_PARTS = "must be omitted for an upload in parts: the store cannot check it"
    MULTIPART_REQUIRED = "must not be false for a file of more than {limit} bytes"

    # Parts
    PARTS_IN_TWO_FORMS = "must be omitted if from and to are given"
    PART_RANGE = "must be equal to from, or greater by at most {limit}"
    PART_MISSING = "is missing"
    PART_SIZE = "must have {declared} bytes, not {stored}"
    PART_UNKNOWN = "is not a part of the upload"
    PART_SIZE_RANGE = "must be {least} to {limit} bytes, and at most 10000 parts"

    # Uppy and better-upload's client
    UPPY_SIZE = (
        'is required: add uppy.on("file-added", f => uppy.setFileMeta(f.id, {{size: f.size}})) '
        'and allowedMetaFields: ["size"]'
    )
    UPPY_KEY_SIZE = "is required: add generateObjectKey: (file) => `${{file.size}}/${{file.name}}`"
    INTEGER_TEXT = "must be a whole number, or its digits as a string"
    PART_NUMBER = "must be whole numbers from 1 to 10000"
    OPERATION = "must be PUT or POST without an uploadId, and GET, PUT, POST or DELETE with one"
    ROUTE = "must be one of the routes of this deployment: see UPLOAD_ROUTES"

    # Objects and download links
    READY_KEY = "must be a ready key, such as the key of a confirmed upload"
    EXPIRES_IN = "must be a whole number of seconds"
    EXPIRES_IN_RANGE = "must be 1 to {limit} seconds, not {received}"
    DISPOSITION = "must be inline or attachment"
    REDIRECT = "must be 0 or 1"


THE_BODY: Final = "The body"
"""Name of the field whose JSON Pointer is empty."""

LIST_MORE: Final = " and more"
"""End of a list of numbers that is cut."""

JSON_TYPES: Final[Mapping[str, str]] = {
    "array": "an array",
    "bool": "a boolean",
    "float": "a number with a fraction",
    "int": "an integer",
    "null": "null",
    "object": "an object",
    "str": "a string",
}
"""Types as msgspec names them, and as ``Rule.JSON_TYPE`` does."""

RECEIVED_MAX: Final = 40
"""Characters of a received value in a text."""

_UNSAFE: Final = re.compile(r"[^\w/.+;=, -]", re.ASCII)


def shown(received: object) -> str:
    """Return a received value for a text: cut, and without the characters that a URL or markup needs."""
    text = str(received)
    return _UNSAFE.sub("?", text[:RECEIVED_MAX]) + ("..." if len(text) > RECEIVED_MAX else "")
