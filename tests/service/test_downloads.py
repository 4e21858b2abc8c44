"""Download links: to ready keys only, stable within a window, never shorter than asked."""

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
    """The parameters of a link."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_signing_asks_the_store_nothing() -> None:
    deployment = Deployment()
    link = await deployment.services.downloads.link(USER, KEY, LinkOptions())
    assert urlsplit(link.url).path == f"/songs/{KEY}"
    assert not deployment.store.calls


@given(st.integers(1_700_000_000, 2_000_000_000), st.integers(1, 3600), st.sampled_from([0, 1, 300, 86_400]))
async def test_a_link_lives_at_least_as_long_as_asked_and_at_most_a_window_longer(
    now: int, asked: int, window: int
) -> None:
    deployment = Deployment({"DOWNLOAD_URL_WINDOW": str(window)}, now=now)
    link = await deployment.services.downloads.link(USER, KEY, LinkOptions(expires_in=asked))
    assert now + asked <= link.expires_at <= now + asked + window
    assert int(query(link.url)["X-Amz-Expires"]) == asked + window
    assert 0 <= link.stable_for <= window


async def test_all_who_ask_within_one_window_get_the_same_link() -> None:
    deployment = Deployment(now=1_800_000_000)
    links = set()
    for now in (1_800_000_000, 1_800_000_299, 1_800_000_300):
        deployment.now = now
        links.add((await deployment.services.downloads.link(USER, KEY, LinkOptions())).url)
    assert len(links) == 2


async def test_a_name_makes_it_a_file_to_save_unless_inline_is_asked_for() -> None:
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


async def test_an_object_of_unknown_type_is_only_ever_saved() -> None:
    """P16: nothing that JamSync may have let in is shown by a browser."""
    link = await Deployment().services.downloads.link(USER, UNKNOWN_TYPE, LinkOptions(disposition="inline"))
    assert query(link.url)["response-content-disposition"] == "attachment"
    assert query(link.url)["response-content-type"] == "application/octet-stream"


@pytest.mark.parametrize("key", ["", "x", f"incoming/{KEY[6:]}", f"media/../{KEY}"])
async def test_what_is_not_ready_gets_no_link(key: str) -> None:
    downloads = Deployment().services.downloads
    with pytest.raises(NotFoundError):
        await downloads.link(SERVICE, key, LinkOptions())
    with pytest.raises(InvalidRequestError):
        await downloads.links(SERVICE, [KEY, key], LinkOptions())


async def test_where_owners_alone_may_listen_another_finds_nothing() -> None:
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


async def test_where_the_service_alone_may_a_user_is_told_so() -> None:
    downloads = Deployment({"DOWNLOAD_ACCESS": "service"}).services.downloads
    with pytest.raises(ForbiddenError):
        await downloads.link(USER, KEY, LinkOptions())
    assert await downloads.links(SERVICE, [KEY], LinkOptions())
