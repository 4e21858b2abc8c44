"""The XML documents in the store's responses: copies, deletions, listings, multipart uploads and their parts.

As in ``s3_responses``, every unexpected response raises ``StorageUnavailableError``.
"""

import re
from collections.abc import Mapping
from operator import attrgetter
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from broker.core.model import CopiedObject, ListedObject, OpenMultipart, Part

from .dates import iso_date
from .port import ObjectPage
from .s3_responses import DIGITS, ERROR_CODE, S3Response, local_name, root_of

_XML_ETAG: Final = re.compile(r'"?([!#-~]+)"?')  # some stores leave out the quotes in XML
_S3_UPLOAD_ID: Final = re.compile(r"[!-~]{1,1024}")


class Page(NamedTuple):
    """One page of ListMultipartUploads; ``following`` is the query of the next page, ``None`` on the last one."""

    uploads: list[OpenMultipart]
    following: Mapping[str, str] | None


def copied_object(response: S3Response) -> CopiedObject:
    """Return the result of CopyObject. A store may send a 200 before it copies, and then an error as the body."""
    result = _document(response, "CopyObjectResult")
    tag, moment = _etag(response, result.findtext("{*}ETag", "")), iso_date(result.findtext("{*}LastModified", ""))
    if moment is None:
        raise response.unexpected("no Last-Modified")
    return CopiedObject(tag, moment)


def undeleted(response: S3Response, keys: list[str]) -> dict[str, str]:
    """Return the keys that DeleteObjects did not delete, each with the store's error code, if there is one."""
    result = _document(response, "DeleteResult")
    deleted = {found.text for found in result.iterfind("{*}Deleted/{*}Key")}
    codes = {found.findtext("{*}Key"): found.findtext("{*}Code", "") for found in result.iterfind("{*}Error")}
    failed = {key: codes.get(key, "") for key in keys if key not in deleted}
    return {key: code if ERROR_CODE.fullmatch(code) else "not in the response" for key, code in failed.items()}


def created_multipart(response: S3Response) -> str:
    """Return the S3 UploadId of the multipart upload that CreateMultipartUpload created."""
    s3_upload_id = _document(response, "InitiateMultipartUploadResult").findtext("{*}UploadId", "")
    if not _S3_UPLOAD_ID.fullmatch(s3_upload_id):
        raise response.unexpected("no UploadId")
    return s3_upload_id


def page_of_objects(response: S3Response, page: str | None) -> ObjectPage:
    """Return one page of ListObjectsV2, which ``page`` named in the request."""
    result = _document(response, "ListBucketResult")
    listed = [
        {local_name(field): field.text or "" for field in element}
        for element in result
        if local_name(element) == "Contents"
    ]
    objects = [_listed_object(response, fields) for fields in listed]
    if result.findtext("{*}IsTruncated") != "true":
        return ObjectPage(objects, None)
    following = result.findtext("{*}NextContinuationToken", "")
    if following in ("", page):
        raise response.unexpected("no token of the next page")
    return ObjectPage(objects, following)


def page_of_multiparts(response: S3Response) -> Page:
    """Return one page of ListMultipartUploads, without entries whose UploadId is invalid."""
    result = _document(response, "ListMultipartUploadsResult")
    listed = [
        OpenMultipart(
            upload.findtext("{*}Key", ""),
            upload.findtext("{*}UploadId", ""),
            iso_date(upload.findtext("{*}Initiated", "")) or 0,
        )
        for upload in result.iterfind("{*}Upload")
    ]
    found = [upload for upload in listed if _S3_UPLOAD_ID.fullmatch(upload.s3_upload_id)]
    if result.findtext("{*}IsTruncated") != "true":
        return Page(found, None)
    key, s3_upload_id = result.findtext("{*}NextKeyMarker", ""), result.findtext("{*}NextUploadIdMarker", "")
    if not key:
        raise response.unexpected("no marker of the next page")
    return Page(found, {"key-marker": key, **({"upload-id-marker": s3_upload_id} if s3_upload_id else {})})


def page_of_parts(response: S3Response, *, after: int) -> tuple[list[Part], int | None]:
    """Return the parts in one page of ListParts, and the number after which the next page starts, if there is one.

    SeaweedFS lists a replaced part as well as its replacement; parts of one number are sorted by time.
    """
    result = _document(response, "ListPartsResult")
    # One pass: an ElementTree path would search each part again for each of its fields.
    listed = [
        {local_name(field): field.text or "" for field in element}
        for element in result
        if local_name(element) == "Part"
    ]
    listed.sort(key=lambda fields: fields.get("LastModified", ""))
    parts = sorted((_part(response, fields) for fields in listed), key=attrgetter("number"))
    if parts and parts[0].number <= after:
        raise response.unexpected("a part of an earlier page")
    if result.findtext("{*}IsTruncated") != "true":
        return parts, None
    if not parts:
        raise response.unexpected("an empty page that is not the last one")
    return parts, parts[-1].number


def check_copied_part(response: S3Response) -> None:
    """Check that UploadPartCopy made its part; as with CopyObject, the body of a 200 may be an error."""
    _etag(response, _document(response, "CopyPartResult").findtext("{*}ETag", ""))


def check_completed(response: S3Response) -> None:
    """Check that CompleteMultipartUpload made its object; here too, the body of a 200 may be an error.

    The ETag is not read, because some stores leave it empty.
    """
    _document(response, "CompleteMultipartUploadResult")


def _listed_object(response: S3Response, fields: Mapping[str, str]) -> ListedObject:
    key, size, moment = fields.get("Key", ""), fields.get("Size", ""), iso_date(fields.get("LastModified", ""))
    if not (key and DIGITS.fullmatch(size)) or moment is None or moment <= 0:  # some stores have zero dates
        raise response.unexpected("an object without key, size or date")
    return ListedObject(key, int(size), moment)


def _part(response: S3Response, fields: Mapping[str, str]) -> Part:
    number, size = fields.get("PartNumber", ""), fields.get("Size", "")
    if not (DIGITS.fullmatch(number) and DIGITS.fullmatch(size)):
        raise response.unexpected("a part without number or size")
    return Part(int(number), int(size), _etag(response, fields.get("ETag", "")))


def _etag(response: S3Response, text: str) -> str:
    match = _XML_ETAG.fullmatch(text)
    if match is None:
        raise response.unexpected("no strong ETag")
    return match[1]


def _document(response: S3Response, name: str) -> ET.Element:
    if response.status != 200:
        raise response.unexpected()
    root = root_of(response)
    if root is None or local_name(root) != name:
        raise response.unexpected(f"no {name}")
    return root
