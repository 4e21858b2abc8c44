"""What the XML documents of the store's answers say: copies, deletions, multipart uploads and their parts.

As in ``answers``: an answer that is not clear is ``StorageUnavailableError``, never a guess.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from broker.core.model import CopiedObject, OpenMultipart, Part

from .s3_responses import Answer, local_name, root_of

_ETAG: Final = re.compile(r'"?([!#-~]+)"?')  # some stores leave out the quotes in XML
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_UPLOAD_ID: Final = re.compile(r"[!-~]{1,1024}")
_CODE: Final = re.compile(r"[A-Za-z]{1,64}")


class Page(NamedTuple):
    """One page of a ListMultipartUploads; ``following`` is the query that the next page needs, if there is one."""

    uploads: list[OpenMultipart]
    following: Mapping[str, str] | None


def copied_object(answer: Answer) -> CopiedObject:
    """What a CopyObject made. Its 200 may come before the copying, and an error after it, in the body."""
    result = _document(answer, "CopyObjectResult")
    tag, moment = _etag(answer, result.findtext("{*}ETag", "")), _iso_date(result.findtext("{*}LastModified", ""))
    if moment is None:
        raise answer.unclear("no Last-Modified")
    return CopiedObject(tag, moment)


def undeleted(answer: Answer, keys: list[str]) -> dict[str, str]:
    """The keys that a DeleteObjects does not say are deleted, each with the store's error code if it has one."""
    result = _document(answer, "DeleteResult")
    deleted = {found.text for found in result.iterfind("{*}Deleted/{*}Key")}
    codes = {found.findtext("{*}Key"): found.findtext("{*}Code", "") for found in result.iterfind("{*}Error")}
    failed = {key: codes.get(key, "") for key in keys if key not in deleted}
    return {key: code if _CODE.fullmatch(code) else "not in the answer" for key, code in failed.items()}


def created_multipart(answer: Answer) -> str:
    """The store's id of the multipart upload that a CreateMultipartUpload began."""
    s3_upload_id = _document(answer, "InitiateMultipartUploadResult").findtext("{*}UploadId", "")
    if not _UPLOAD_ID.fullmatch(s3_upload_id):
        raise answer.unclear("no UploadId")
    return s3_upload_id


def page_of_multiparts(answer: Answer) -> Page:
    """One page of a ListMultipartUploads."""
    result = _document(answer, "ListMultipartUploadsResult")
    listed = [
        OpenMultipart(
            upload.findtext("{*}Key", ""),
            upload.findtext("{*}UploadId", ""),
            _iso_date(upload.findtext("{*}Initiated", "")) or 0,
        )
        for upload in result.iterfind("{*}Upload")
    ]
    found = [upload for upload in listed if _UPLOAD_ID.fullmatch(upload.s3_upload_id)]
    if result.findtext("{*}IsTruncated") != "true":
        return Page(found, None)
    key, s3_upload_id = result.findtext("{*}NextKeyMarker", ""), result.findtext("{*}NextUploadIdMarker", "")
    if not key:
        raise answer.unclear("a page without the next one's marker")
    return Page(found, {"key-marker": key, **({"upload-id-marker": s3_upload_id} if s3_upload_id else {})})


def page_of_parts(answer: Answer, *, after: int) -> tuple[list[Part], int | None]:
    """The parts in one page of ListParts, and the number after which the next page begins, if there is one.

    SeaweedFS lists a part that was replaced beside its replacement; they stand in the order of their times then.
    """
    result = _document(answer, "ListPartsResult")
    # One pass: the paths of ElementTree look through a part again for each of its fields
    listed = [
        {local_name(field): field.text or "" for field in element}
        for element in result
        if local_name(element) == "Part"
    ]
    listed.sort(key=lambda fields: fields.get("LastModified", ""))
    parts = sorted((_part(answer, fields) for fields in listed), key=attrgetter("number"))
    if parts and parts[0].number <= after:
        raise answer.unclear("a part of an earlier page")
    if result.findtext("{*}IsTruncated") != "true":
        return parts, None
    if not parts:
        raise answer.unclear("an empty page with another to follow")
    return parts, parts[-1].number


def check_copied_part(answer: Answer) -> None:
    """Return when an UploadPartCopy made its part; as with CopyObject an error may come in the body of a 200."""
    _etag(answer, _document(answer, "CopyPartResult").findtext("{*}ETag", ""))


def check_completed(answer: Answer) -> None:
    """Return when a CompleteMultipartUpload made its object; its 200, too, may come before an error.

    The ETag in it is not read: some stores leave it empty, and a HeadObject has it.
    """
    _document(answer, "CompleteMultipartUploadResult")


def _part(answer: Answer, fields: Mapping[str, str]) -> Part:
    number, size = fields.get("PartNumber", ""), fields.get("Size", "")
    if not (_DIGITS.fullmatch(number) and _DIGITS.fullmatch(size)):
        raise answer.unclear("a part without number or size")
    return Part(int(number), int(size), _etag(answer, fields.get("ETag", "")))


def _etag(answer: Answer, text: str) -> str:
    match = _ETAG.fullmatch(text)
    if match is None:
        raise answer.unclear("no strong ETag")
    return match[1]


def _document(answer: Answer, name: str) -> ET.Element:
    if answer.status != 200:
        raise answer.unclear()
    root = root_of(answer)
    if root is None or local_name(root) != name:
        raise answer.unclear(f"no {name}")
    return root


def _iso_date(text: str) -> int | None:
    """An instant as XML has it, with its time zone."""
    try:
        moment = datetime.fromisoformat(text)
        return int(moment.timestamp()) if moment.tzinfo else None
    except ValueError:
        return None
