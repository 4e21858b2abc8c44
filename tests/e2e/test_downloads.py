"""Download links of ready objects, with a real broker process and a real store."""

from .processes import Broker
from .steps import digest, fetch, mp3, ready


def test_download_has_filename_or_redirect(broker: Broker) -> None:
    """A download link sets Content-Disposition on request, or is a redirect."""
    with broker.client() as client:
        key = ready(client, mp3())["key"]
        named = client.get(f"/downloads/{key}", params={"filename": 'sö"ng.mp3'}).json()["url"]
        disposition = fetch(named).headers["content-disposition"]
        assert disposition == "attachment; filename=\"s__ng.mp3\"; filename*=UTF-8''s%C3%B6%22ng.mp3"
        redirect = client.get(f"/downloads/{key}", params={"redirect": "1"})
        assert redirect.status_code == 307
        assert digest(fetch(redirect.headers["location"]).content) == digest(mp3())


def test_links_of_one_window_are_equal(broker: Broker) -> None:
    """Links to one object within DOWNLOAD_URL_WINDOW are equal for all users."""
    with broker.client("user-1") as one, broker.client("user-2") as two:
        key = ready(one, mp3())["key"]
        links = {client.get(f"/downloads/{key}").text for client in (one, two, one)}
    assert len(links) <= 2  # two if a window ends during the test


def test_key_is_found_in_own_urls(broker: Broker) -> None:
    """A key is found in the URLs of this deployment, and in no other URL."""
    with broker.client() as client:
        key = ready(client, mp3())["key"]
        link = client.get(f"/downloads/{key}").json()["url"]
        assert client.get("/keys", params={"url": link}).json() == {"key": key}
        assert client.get("/keys", params={"url": f"https://evil.example/{key}"}).status_code == 404
