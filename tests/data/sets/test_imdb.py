"""The reviews: archives and folders in the publisher's layout, sound and broken; the real one where it is."""

import contextlib
import gzip
import hashlib
import io
import os
import random
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data.sets import imdb
from sunhwan.errors import SunhwanError

REVIEWS = {
    "aclImdb/train/pos/2_9.txt": "Très bien.<br /><br />See it, <i>twice</i>!".encode(),
    "aclImdb/train/pos/10_10.txt": b"  Ten out of ten.\n",
    "aclImdb/train/neg/0_1.txt": "재미없다 \u0085 &amp; long".encode(),
    "aclImdb/test/pos/7_7.txt": b"Good",
    "aclImdb/test/neg/12499_4.txt": b"Not good",
}
IGNORED = {
    "aclImdb/README": b"Large Movie Review Dataset v1.0",
    "aclImdb/imdb.vocab": b"the\nand\n",
    "aclImdb/train/unsup/0_0.txt": b"no label",
    "aclImdb/train/labeledBow.feat": b"9 0:9",
    "aclImdb/train/urls_pos.txt": b"http://www.imdb.com",
    "aclImdb/train/pos/.DS_Store": b"\x00",
    "aclImdb/train/pos/._2_9.txt": b"\x00\x05\x16\x07",
}


def archive(path, members, *, mode="w:gz", extra=()):
    """Write `members` {name: bytes} and `extra` TarInfo to a tar archive."""
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            information = tarfile.TarInfo(name)
            information.size = len(content)
            tar.addfile(information, io.BytesIO(content))
        for information in extra:
            tar.addfile(information)
    return path


def folder(path, members):
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def same(first, second):
    return (
        first.texts == second.texts
        and first.ids == second.ids
        and all((getattr(first, name) == getattr(second, name)).all() for name in ("labels", "stars", "part"))
    )


def test_texts_labels_and_stars(tmp_path):
    path = archive(tmp_path / "reviews.tar.gz", IGNORED | REVIEWS)
    reviews = imdb.load(path)
    assert reviews.ids == (
        "train/neg/0_1.txt",
        "train/pos/2_9.txt",
        "train/pos/10_10.txt",  # by number: 10 comes after 2
        "test/neg/12499_4.txt",
        "test/pos/7_7.txt",
    )
    assert reviews.texts == (
        "재미없다 \u0085 &amp; long",
        "Très bien.\n\nSee it, <i>twice</i>!",  # nothing but <br /> is touched
        "  Ten out of ten.\n",
        "Not good",
        "Good",
    )
    assert reviews.labels.tolist() == [0, 1, 1, 0, 1]
    assert reviews.classes == ("neg", "pos")
    assert reviews.stars.tolist() == [1, 9, 10, 4, 7]
    assert reviews.part.tolist() == ["train"] * 3 + ["test"] * 2
    assert reviews.labels.dtype == reviews.stars.dtype == np.int64
    assert reviews.source == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(reviews) == 5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_order_of_the_archive_does_not_matter(tmp_path, seed):
    members = list((REVIEWS | IGNORED).items())
    random.Random(seed).shuffle(members)
    shuffled = archive(tmp_path / "shuffled.tar.gz", dict(members))
    assert same(imdb.load(shuffled), imdb.load(archive(tmp_path / "reviews.tar.gz", REVIEWS)))


def test_an_unpacked_folder_gives_the_same(tmp_path):
    unpacked = folder(tmp_path / "unpacked", REVIEWS | IGNORED)
    from_archive = imdb.load(archive(tmp_path / "reviews.tar.gz", REVIEWS))
    from_folder = imdb.load(unpacked)
    assert same(from_archive, from_folder)
    assert same(from_folder, imdb.load(unpacked / "aclImdb"))
    (unpacked / "aclImdb/README").write_bytes(b"changed, but no review")
    assert imdb.load(unpacked).source == from_folder.source
    (unpacked / "aclImdb/test/pos/7_7.txt").write_bytes(b"good")
    assert imdb.load(unpacked).source != from_folder.source


def test_a_tar_without_gzip_and_names_with_a_dot(tmp_path):
    dotted = {f"./{name}": content for name, content in REVIEWS.items()}
    plain = archive(tmp_path / "aclImdb_v1.tar", dotted, mode="w")
    assert same(imdb.load(plain), imdb.load(archive(tmp_path / "reviews.tar.gz", REVIEWS)))


def test_one_part_alone(tmp_path):
    train = {name: content for name, content in REVIEWS.items() if "/train/" in name}
    assert set(imdb.load(folder(tmp_path, train)).part) == {"train"}


def test_by_default_it_comes_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path))
    path = archive(tmp_path / "aclImdb_v1.tar.gz", REVIEWS)
    assert imdb.load().source == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_damaged_file_in_the_cache_says_what_to_delete(tmp_path, monkeypatch):
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path))
    (tmp_path / "aclImdb_v1.tar.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(SunhwanError, match=r"truncated.*delete it and aclImdb_v1\.tar\.gz\.json beside it"):
        imdb.load()


def test_nothing_is_written(tmp_path, monkeypatch):
    (tmp_path / "input").mkdir()
    (tmp_path / "cwd").mkdir()
    path = archive(tmp_path / "input" / "reviews.tar.gz", REVIEWS)
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("SUNHWAN_CACHE", str(tmp_path / "cache"))
    imdb.load(path)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "cwd", tmp_path / "input", path]


def refused(path, message):
    with pytest.raises(SunhwanError, match=message) as caught:
        imdb.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    refused(
        tmp_path / "none.tar.gz",
        r"there is no file or folder .*none\.tar\.gz'; get aclImdb_v1\.tar\.gz from https://ai\.stanford",
    )


def big():
    """Reviews that do not compress to one block, so that an archive can be cut in many places."""
    noise = np.random.default_rng(0)
    return {
        f"aclImdb/train/{label}/{number}_{stars}.txt": noise.bytes(3000).hex().encode()
        for label, stars in (("neg", 2), ("pos", 8))
        for number in range(20)
    }


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize(
    "share", [0.0, 0.001, 0.1, 0.5, 0.95]
)  # the last 3 % of a tar are zeros without meaning
def test_a_truncated_archive(tmp_path, mode, share):
    whole = archive(tmp_path / "whole", big(), mode=mode).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path / "cut", "is truncated, damaged or not a tar archive")


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_an_archive_without_its_checksum(tmp_path, missing):
    whole = archive(tmp_path / "whole", REVIEWS).read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-missing])
    refused(tmp_path / "cut", "is truncated, damaged or not a tar archive")


def test_a_tar_cut_between_two_members(tmp_path):
    whole = archive(tmp_path / "whole", REVIEWS, mode="w").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: 4 * 512])  # two headers and their two blocks of text
    refused(tmp_path / "cut", "is truncated, damaged or not a tar archive")


def test_a_damaged_header_is_not_the_end(tmp_path):
    whole = bytearray(archive(tmp_path / "whole", REVIEWS, mode="w").read_bytes())
    whole[4 * 512 + 5] ^= 0xFF  # in the name of the third member
    (tmp_path / "damaged").write_bytes(whole)
    refused(tmp_path / "damaged", "is truncated, damaged or not a tar archive")


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit(tmp_path, seed):
    """gzip's checksum sees what tar would not: any damage to the packed bytes after gzip's own header."""
    whole = bytearray(archive(tmp_path / "whole", big()).read_bytes())
    place = np.random.default_rng(seed).integers(200, len(whole))
    whole[place] ^= 1 << seed
    (tmp_path / "damaged").write_bytes(whole)
    refused(tmp_path / "damaged", "is truncated, damaged or not a tar archive")


@pytest.mark.parametrize(
    "content", [b"review,label\ngood,1\n", b"\x1f\x8b\x08", gzip.compress(b"a,b\n1,2\n", mtime=0)]
)
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    refused(tmp_path / "file", "is truncated, damaged or not a tar archive")


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "aclImdb/../../outside.txt",
        "aclImdb/train/pos/../pos/1_9.txt",
        "/etc/passwd",
        "aclImdb\\..\\outside.txt",
        "C:/outside.txt",
    ],
)
def test_a_member_that_points_outside(tmp_path, name):
    path = archive(tmp_path / "unsafe.tar.gz", REVIEWS | {name: b"good"})
    with pytest.raises(SunhwanError) as caught:
        imdb.load(path)
    assert f"the archive {path} is not safe: its member {name!r} points outside the archive" in str(
        caught.value
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_a_link_or_a_device(tmp_path, kind):
    information = tarfile.TarInfo("aclImdb/train/pos/3_8.txt")
    information.type = kind
    information.linkname = "aclImdb/train/pos/2_9.txt"
    path = archive(tmp_path / "unsafe.tar.gz", REVIEWS, extra=[information])
    refused(path, r"is not safe: its member 'aclImdb/train/pos/3_8\.txt' is a link or a device")


@pytest.mark.parametrize("members", [{}, IGNORED])
@pytest.mark.parametrize("write", [lambda path, members: archive(path, members), folder])
def test_no_reviews(tmp_path, members, write):
    path = tmp_path / "none"
    if write is folder:
        path.mkdir()
    refused(write(path, members), r"has no reviews; .*aclImdb/train/pos/127_7\.txt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aclImdb/train/pos/nine.txt": b"good"}, r"nine\.txt' in .* is not named ID_STARS\.txt"),
        ({"aclImdb/train/pos/9_11.txt": b"good"}, r"9_11\.txt' in .* is not named ID_STARS\.txt"),
        ({"aclImdb/train/pos/9_0.txt": b"good"}, r"9_0\.txt' in .* is not named ID_STARS\.txt"),
        ({"aclImdb/train/pos/9_9.txt": b"gut f\xfcr"}, r"9_9\.txt in .* is not valid UTF-8 \(at byte 5\)"),
        ({"aclImdb/train/pos/9_9.txt": b""}, r"train/pos/9_9\.txt is empty"),
        ({"aclImdb/train/pos/9_9.txt": b" <br />\n"}, r"train/pos/9_9\.txt is empty"),
        ({"aclImdb/train/pos/2_8.txt": b"again"}, r"two reviews numbered 2 in train/pos"),
    ],
)
@pytest.mark.parametrize("write", [archive, folder])
def test_a_bad_review_is_named(tmp_path, change, message, write):
    refused(write(tmp_path / "reviews", REVIEWS | change), message)


def test_a_single_class(tmp_path):
    only = {name: content for name, content in REVIEWS.items() if "train/neg" not in name}
    refused(folder(tmp_path / "reviews", only), "the train part has only texts of the class 'pos'")


@pytest.mark.skipif(sys.platform == "win32", reason="rights are POSIX")
def test_a_file_that_cannot_be_read(tmp_path):
    path = folder(tmp_path, REVIEWS)
    unreadable = path / "aclImdb/train/pos/2_9.txt"
    unreadable.unlink()
    unreadable.mkdir()  # rather than rights, which an administrator has
    refused(path, r"cannot read .*: Is a directory")


def test_the_bar_is_gone_when_an_error_is_raised(tmp_path, monkeypatch):
    open_bars = []

    @contextlib.contextmanager
    def progress_bar(description, **options):
        open_bars.append(description)
        try:
            yield lambda **changes: None
        finally:
            open_bars.remove(description)

    monkeypatch.setattr(imdb, "progress_bar", progress_bar)
    path = archive(tmp_path / "reviews.tar.gz", {"aclImdb/train/pos/nine.txt": b"good"})
    with pytest.raises(SunhwanError) as caught:
        imdb.load(path)
    assert open_bars == [], caught  # while the error, and with it every frame it came through, is alive


@pytest.mark.real
@pytest.mark.skipif(
    "SUNHWAN_TEST_DATA" not in os.environ, reason="SUNHWAN_TEST_DATA names no folder of real files"
)
def test_the_real_archive():
    path = Path(os.environ["SUNHWAN_TEST_DATA"]) / "aclImdb_labelled.tar.gz"
    reviews = imdb.load(path)
    assert len(reviews) == 50_000
    parts, counts = np.unique(
        np.stack([reviews.part == "test", reviews.labels == 1]), axis=1, return_counts=True
    )
    assert parts.shape == (2, 4)
    assert counts.tolist() == [12_500] * 4
    # The publisher's rule: up to 4 stars is negative, from 7 on positive, and nothing in between.
    assert set(reviews.stars[reviews.labels == 0]) == {1, 2, 3, 4}
    assert set(reviews.stars[reviews.labels == 1]) == {7, 8, 9, 10}
    assert reviews.ids[0].startswith("train/neg/0_")
    assert not any("<br />" in text for text in reviews.texts)
