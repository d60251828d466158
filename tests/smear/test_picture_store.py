"""Kept pictures: by content alone, checked when read, purged by age but for what is labelled."""

import os

import pytest

from smear.files import sha256
from smear.picture_store import NotKept, PictureStore, media_type


JPEG = b"\xff\xd8\xff a picture"


def test_what_is_put_comes_back_and_twice_is_once(tmp_path):
    store, digest = PictureStore(tmp_path / "pictures"), sha256(JPEG)
    for _ in range(2):
        store.put(digest, JPEG)
    assert store.get(digest) == JPEG
    assert [p.name for p in (tmp_path / "pictures").rglob("*") if p.is_file()] == [digest[2:]]
    assert oct((tmp_path / "pictures" / digest[:2] / digest[2:]).stat().st_mode)[-3:] == "600"


def test_a_picture_that_is_gone_or_damaged_is_told_in_words(tmp_path):
    store, digest = PictureStore(tmp_path), sha256(JPEG)
    with pytest.raises(NotKept, match="no longer kept"):
        store.get(digest)
    store.put(digest, JPEG)
    (tmp_path / digest[:2] / digest[2:]).write_bytes(JPEG[:-3])
    with pytest.raises(NotKept, match="damaged"):
        store.get(digest)


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 63 + "/"])
def test_nothing_but_a_digest_names_a_picture(tmp_path, name):
    with pytest.raises(AssertionError):
        PictureStore(tmp_path).get(name)


def test_old_pictures_go_young_ones_and_kept_ones_stay(tmp_path):
    store, now = PictureStore(tmp_path), 1_000_000_000.0
    digests = []
    for i, days in enumerate((100, 91, 89, 100)):
        data = JPEG + bytes([i])
        digests.append(sha256(data))
        store.put(digests[-1], data)
        path = tmp_path / digests[-1][:2] / digests[-1][2:]
        os.utime(path, (now - days * 86_400, now - days * 86_400))
    asked = []

    def keep(some):
        asked.extend(some)
        return {digests[3]}

    assert store.purge(90, keep, now) == 2
    assert sorted(asked) == sorted([digests[0], digests[1], digests[3]])
    for digest, there in zip(digests, (False, False, True, True), strict=True):
        if there:
            store.get(digest)
        else:
            with pytest.raises(NotKept):
                store.get(digest)
    store.put(digests[3], JPEG + bytes([3]))  # seen again: young again
    assert store.purge(90, lambda _: (), now) == 0


def test_only_pictures_have_a_type(tmp_path):
    assert [media_type(data) for data in (JPEG, b"\x89PNG\r\n\x1a\n...", b"BM...", b"<svg/>", b"GIF89a", b"")] == [
        "image/jpeg", "image/png", "image/bmp", None, None, None,
    ]  # fmt: skip
