"""The values that the layers exchange."""

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, Principal, Upload


def test_expiry() -> None:
    """An upload is expired from its expiry on."""
    upload = Upload("id", "user-1", FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 100), expires_at=1000)
    assert [upload.is_expired(now) for now in (999, 999.9, 1000, 1001)] == [False, False, True, True]


def test_may_act_for() -> None:
    """A user may act for itself only, a service for all users and for unknown owners."""
    owners = ("user-1", "user-10", "user-2", None)
    assert [Principal("user-1").may_act_for(owner) for owner in owners] == [True, False, False, False]
    assert [Principal("user-1", is_service=True).may_act_for(owner) for owner in owners] == [True] * 4
