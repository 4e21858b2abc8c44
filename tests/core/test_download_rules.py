"""Who may download an object."""

import pytest

from broker.core.download_rules import DownloadAccess, may_download
from broker.core.model import Principal


@pytest.mark.parametrize(
    ("is_service", "access", "expected"),
    [
        (False, DownloadAccess.AUTHENTICATED, True),
        (False, DownloadAccess.OWNER, None),
        (False, DownloadAccess.SERVICE, False),
        (True, DownloadAccess.OWNER, True),
        (True, DownloadAccess.SERVICE, True),
    ],
)
def test_who_may_download(is_service: bool, access: DownloadAccess, expected: bool | None) -> None:
    """Users, owners and services may download as the access rule states."""
    assert may_download(Principal("u", is_service), access) is expected
