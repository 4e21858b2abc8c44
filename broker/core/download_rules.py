"""The principals that may download an object, and the lifetime of a presigned download URL."""

from dataclasses import dataclass
from enum import StrEnum

from .model import Principal


class DownloadAccess(StrEnum):
    """The principals that may get a download URL for an object: all, its owner, or services."""

    AUTHENTICATED = "authenticated"
    OWNER = "owner"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class DownloadPolicy:
    """Rules for download URLs.

    ``url_lifetime`` is the default and longest lifetime of a URL in seconds. Two URLs of one object that are signed
    within the same ``window`` of seconds are equal, so that caches hit; 0 turns this off.
    """

    access: DownloadAccess = DownloadAccess.AUTHENTICATED
    url_lifetime: int = 3600
    window: int = 300


def may_download(principal: Principal, access: DownloadAccess) -> bool | None:
    """Return whether ``principal`` may download an object; ``None`` when that depends on the object's owner."""
    if principal.is_service or access is DownloadAccess.AUTHENTICATED:
        return True
    return None if access is DownloadAccess.OWNER else False
