"""The signer that fills templates against the one that makes each request anew."""

from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, ObjectRef
from broker.crypto.object_signer import ObjectSigner
from broker.crypto.sigv4 import MAX_EXPIRES_IN, Credentials, Presigner
from broker.service.uploads import upload_headers

BUCKET, KEY, NOW = "songs", "incoming/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3", 1_764_000_000
ENDPOINT = "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com"

PLAIN = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~"
HEADERS = st.dictionaries(
    st.text("!#$%&'*+-.^_`|~" + PLAIN, min_size=1, max_size=20).filter(
        lambda name: name.lower() not in ("host", "authorization", "x-amz-content-sha256")
    ),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)),
    max_size=4,
).filter(lambda headers: len(set(map(str.lower, headers))) == len(headers))
CALLS = st.lists(
    st.tuples(
        st.text(PLAIN + "/", min_size=1, max_size=60),
        st.integers(NOW, NOW + 2),
        st.sampled_from([1, 900, MAX_EXPIRES_IN]),
        HEADERS.map(lambda headers: dict(sorted(headers.items(), key=lambda header: header[0].lower()))),
    ),
    max_size=5,
)
PRESIGNERS = st.builds(
    Presigner,
    st.builds(Credentials, st.text(min_size=1), st.text(min_size=1), st.none() | st.text()),
    st.sampled_from([ENDPOINT, "http://127.0.0.1:9000", "https://[::1]:8443"]),
    region=st.sampled_from(["auto", "us-east-1"]),
)


def presigner() -> Presigner:
    return Presigner(Credentials("id", "secret"), ENDPOINT)


@settings(deadline=None)
@given(PRESIGNERS, st.sampled_from(["GET", "PUT"]), st.text(min_size=1), CALLS)
@example(presigner(), "PUT", "a%s{}", [("k", NOW, 900, {"%s": "%d{}"}), ("k", NOW, 900, {"%s": "{}%"})])
def test_a_template_gives_what_the_presigner_gives(
    presigner: Presigner, method: str, bucket: str, calls: list[tuple[str, int, int, Mapping[str, str]]]
) -> None:
    signer = ObjectSigner(presigner, method, bucket)
    for key, now, expires_in, headers in calls:
        assert signer.presign(key, now=now, expires_in=expires_in, headers=headers) == presigner.presign(
            method, ObjectRef(bucket, key), now=now, expires_in=expires_in, headers=headers
        )


@given(st.text(), st.text())
def test_what_is_in_a_query_is_signed_by_the_presigner(name: str, value: str) -> None:
    query = {f"response-{name}": value}
    assert ObjectSigner(presigner(), "GET", BUCKET).presign(
        KEY, now=NOW, expires_in=900, query=query
    ) == presigner().presign("GET", ObjectRef(BUCKET, KEY), now=NOW, expires_in=900, query=query)


@pytest.mark.parametrize("sha256", [None, b"s" * 32])
@pytest.mark.parametrize("md5", [None, b"\xff" * 16])
def test_the_headers_of_an_upload_are_in_the_order_that_a_template_takes(
    sha256: bytes | None, md5: bytes | None
) -> None:
    headers = {
        "Content-Length": "3",
        **upload_headers(FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 3, sha256, md5)),
    }
    url = ObjectSigner(presigner(), "PUT", BUCKET).presign(KEY, now=NOW, expires_in=900, headers=headers)
    assert url == presigner().presign("PUT", ObjectRef(BUCKET, KEY), now=NOW, expires_in=900, headers=headers)


def test_headers_in_another_order_are_refused() -> None:
    """Else each value would be signed as another header's."""
    with pytest.raises(ValueError, match="sorted by name"):
        ObjectSigner(presigner(), "PUT", BUCKET).presign(KEY, now=NOW, expires_in=900, headers={"B": "1", "A": "2"})


@pytest.mark.parametrize("expires_in", [0, MAX_EXPIRES_IN + 1])
def test_a_lifetime_that_the_store_would_refuse_is_refused(expires_in: int) -> None:
    with pytest.raises(ValueError, match="expires_in"):
        ObjectSigner(presigner(), "GET", BUCKET).presign(KEY, now=NOW, expires_in=expires_in)


def test_lifetimes_that_clients_choose_do_not_pile_up() -> None:
    signer = ObjectSigner(presigner(), "GET", BUCKET)
    for expires_in in range(1, 1000):
        signer.presign(KEY, now=NOW, expires_in=expires_in)
    assert len(signer._templates) <= 64
