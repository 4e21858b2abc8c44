"""Download links: to ready keys only, stable within a window, valid as long as requested."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.model import ObjectRef
from broker.errors import ForbiddenError, InvalidRequestError, NotFoundError
from broker.service.downloads import LinkOptions

from .deployment import MP3, OTHER, SERVICE, USER, Deployment

KEY = "media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3"
UNKNOWN_TYPE = "media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.html"


def query(url: str) -> dict[str, str]:
    """Return the query parameters of a link."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_link_needs_no_store() -> None:
    """A link is presigned without a request to the store."""
    deployment = Deployment()
    link = await deployment.services.downloads.link(USER, KEY, LinkOptions())
    assert urlsplit(link.url).path == f"/songs/{KEY}"
    assert not deployment.store.calls


@given(st.integers(1_700_000_000, 2_000_000_000), st.integers(1, 3600), st.sampled_from([0, 1, 300, 86_400]))
async def test_link_lifetime_covers_the_requested_one(now: int, requested: int, window: int) -> None:
    """A link is valid for the requested seconds at least, and for one window more at most."""
    deployment = Deployment({"DOWNLOAD_URL_WINDOW": str(window)}, now=now)
    link = await deployment.services.downloads.link(USER, KEY, LinkOptions(expires_in=requested))
    assert now + requested <= link.expires_at <= now + requested + window
    assert int(query(link.url)["X-Amz-Expires"]) == requested + window
    assert 0 <= link.stable_for <= window


async def test_link_is_stable_within_a_window() -> None:
    """All requests within one window get the same URL, and the next window has a new one."""
    deployment = Deployment(now=1_800_000_000)
    links = set()
    for now in (1_800_000_000, 1_800_000_299, 1_800_000_300):
        deployment.now = now
        links.add((await deployment.services.downloads.link(USER, KEY, LinkOptions())).url)
    assert len(links) == 2


async def test_filename_implies_attachment() -> None:
    """A file name makes the disposition attachment, unless the request has inline."""
    downloads = Deployment().services.downloads
    for options, expected in [
        (LinkOptions(), None),
        (LinkOptions(disposition="inline"), "inline"),
        (LinkOptions(filename="a.mp3"), "attachment; filename=\"a.mp3\"; filename*=UTF-8''a.mp3"),
        (
            LinkOptions(filename="a.mp3", disposition="inline"),
            "inline; filename=\"a.mp3\"; filename*=UTF-8''a.mp3",
        ),
    ]:
        link = await downloads.link(USER, KEY, options)
        assert query(link.url).get("response-content-disposition") == expected


async def test_object_of_unknown_type_is_an_attachment() -> None:
    """Browsers save an object of an unknown type and never show it (P16)."""
    link = await Deployment().services.downloads.link(USER, UNKNOWN_TYPE, LinkOptions(disposition="inline"))
    assert query(link.url)["response-content-disposition"] == "attachment"
    assert query(link.url)["response-content-type"] == "application/octet-stream"


@pytest.mark.parametrize("key", ["", "x", f"incoming/{KEY[6:]}", f"media/../{KEY}"])
async def test_link_needs_a_ready_key(key: str) -> None:
    """A key that is not a ready key gets no link, not even for a service."""
    downloads = Deployment().services.downloads
    with pytest.raises(NotFoundError):
        await downloads.link(SERVICE, key, LinkOptions())
    with pytest.raises(InvalidRequestError):
        await downloads.links(SERVICE, [KEY, key], LinkOptions())


async def test_owner_access_hides_objects_from_other_users() -> None:
    """Where owners alone may download, another user's key is not found."""
    deployment = Deployment({"DOWNLOAD_ACCESS": "owner"})
    key = await deployment.ready()
    downloads = deployment.services.downloads
    assert (await downloads.link(USER, key, LinkOptions())).url == (
        await downloads.link(SERVICE, key, LinkOptions())
    ).url
    with pytest.raises(NotFoundError):
        await downloads.link(OTHER, key, LinkOptions())
    deployment.store.put(ObjectRef("songs", KEY), MP3)
    with pytest.raises(NotFoundError):
        await downloads.links(USER, [key, KEY], LinkOptions())
    assert len(await downloads.links(USER, [key, key], LinkOptions())) == 2


async def test_service_access_is_forbidden_to_users() -> None:
    """Where services alone may download, a user gets ForbiddenError."""
    downloads = Deployment({"DOWNLOAD_ACCESS": "service"}).services.downloads
    with pytest.raises(ForbiddenError):
        await downloads.link(USER, KEY, LinkOptions())
    assert await downloads.links(SERVICE, [KEY], LinkOptions())
