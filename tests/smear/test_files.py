"""A folder that anybody may write to: nothing but plain files below the root is ever read."""

import os
import socket
from contextlib import contextmanager
from pathlib import Path

import pytest

from smear import files
from smear.files import FileChanging, Stat, open_folder, read_file, sha256
from smear.pictures import UnreadablePicture


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "slide" / "deep").mkdir(parents=True)
    (tmp_path / "root" / "slide" / "x.jpg").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"not ours")
    return tmp_path / "root"


def read(root, name, folder="slide", **options):
    with open_folder(root, folder) as descriptor:
        return read_file(descriptor, name, **options)


def test_a_plain_file_is_read_with_its_stat(root):
    data, stat = read(root, "x.jpg")
    assert data == b"content"
    assert stat == Stat.of((root / "slide" / "x.jpg").stat())
    assert sha256(data) == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"


def test_a_symlink_is_not_followed_wherever_it_leads(root, tmp_path):
    (root / "slide" / "out.jpg").symlink_to(tmp_path / "secret")
    (root / "slide" / "in.jpg").symlink_to("x.jpg")
    (root / "slide" / "nowhere.jpg").symlink_to("gone")
    for name in ("out.jpg", "in.jpg", "nowhere.jpg"):
        with pytest.raises(UnreadablePicture, match=r"^a link, not a file: links are not followed$"):
            read(root, name)


def test_a_folder_that_is_a_symlink_is_not_entered(root, tmp_path):
    (root / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(OSError, match="elsewhere"):
        read(root, "secret", "elsewhere")
    (root / "slide" / "class").symlink_to(tmp_path)
    with pytest.raises(OSError, match="class"):
        read(root, "secret", "slide/class")


@pytest.mark.parametrize("folder", ["..", "slide/..", "slide/../..", "slide/deep/../../.."])
def test_dots_lead_nowhere(root, folder):
    with pytest.raises(NotADirectoryError):
        read(root, "secret", folder)


def test_an_absolute_path_does_not_leave_the_root(root, tmp_path):
    with pytest.raises(OSError, match="leaves its source"):
        read(root, "secret", str(tmp_path))


def test_a_fifo_neither_hangs_nor_is_read(root):
    os.mkfifo(root / "slide" / "pipe.jpg")
    with pytest.raises(UnreadablePicture, match=r"^not a plain file$"):
        read(root, "pipe.jpg")


def test_a_socket_is_refused(root, monkeypatch):
    monkeypatch.chdir(root / "slide")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.jpg")
        with pytest.raises(UnreadablePicture, match=r"^cannot be opened: "):
            read(root, "s.jpg")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may make a device")
def test_a_device_is_refused(root):
    try:
        os.mknod(root / "slide" / "zero.jpg", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this container may make no device")
    with pytest.raises(UnreadablePicture, match=r"^(not a plain file|cannot be opened: .*)$"):
        read(root, "zero.jpg")


def test_a_folder_with_a_pictures_name_is_refused(root):
    (root / "slide" / "folder.jpg").mkdir()
    with pytest.raises(UnreadablePicture, match=r"^not a plain file$"):
        read(root, "folder.jpg")


@contextmanager
def unprivileged():
    """Gives up root's rights for a while, where the tests have them."""
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


def test_a_file_that_we_may_not_read_is_named(root):
    (root / "slide" / "x.jpg").chmod(0)
    with (
        open_folder(root, "slide") as descriptor,
        unprivileged(),
        pytest.raises(UnreadablePicture, match=r"^cannot be opened: Permission denied$"),
    ):
        read_file(descriptor, "x.jpg")


def test_a_file_that_is_too_large_is_not_read(root):
    with (root / "slide" / "big.jpg").open("wb") as file:
        file.truncate(20 * 2**20)
    with pytest.raises(UnreadablePicture, match=r"^file of 20 MB, at most 16 MB are read$"):
        read(root, "big.jpg")
    with pytest.raises(UnreadablePicture, match=r"at most 3\.81e-06 MB are read$"):
        read(root, "x.jpg", max_bytes=4)


class FakeOs:
    """os, whose first fstat of a file is followed by somebody else's write."""

    def __init__(self, meanwhile):
        self._meanwhile, self._asked = meanwhile, 0

    def __getattr__(self, name):
        return getattr(os, name)

    def fstat(self, descriptor):
        found = os.fstat(descriptor)
        self._asked += 1
        if self._asked == 1:
            self._meanwhile()
        return found


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda path: path.write_bytes(b"content and more"),
        lambda path: path.write_bytes(b"con"),
        lambda path: path.write_bytes(b"CONTENT"),
        lambda path: os.utime(path, ns=(1, 1)),
    ],
    ids=["grows", "shrinks", "changes", "is-touched"],
)
def test_a_file_that_changes_while_it_is_read_is_not_taken_for_settled(root, monkeypatch, meanwhile):
    path = root / "slide" / "x.jpg"
    os.utime(path, ns=(10**18, 10**18))
    monkeypatch.setattr(files, "os", FakeOs(lambda: meanwhile(path)))
    descriptor = os.open(root / "slide", os.O_RDONLY)
    try:
        with pytest.raises(FileChanging):
            read_file(descriptor, "x.jpg")
    finally:
        os.close(descriptor)


def test_what_is_gone_is_said_to_be_gone(root):
    with pytest.raises(FileNotFoundError):
        read(root, "y.jpg")
    with pytest.raises(FileNotFoundError):
        read(root, "x.jpg", "no-such-slide")
    with pytest.raises(NotADirectoryError):
        read(root, "x.jpg", "slide/x.jpg")


def test_no_descriptor_is_left_open_whatever_goes_wrong(root):
    before = len(list(Path("/proc/self/fd").iterdir()))
    (root / "slide" / "link.jpg").symlink_to("x.jpg")
    (root / "slide" / "folder.jpg").mkdir()
    os.mkfifo(root / "slide" / "pipe.jpg")
    names = ("link.jpg", "x.jpg", "folder.jpg", "pipe.jpg")
    for folder, name in (*(("slide", name) for name in names), ("slide/no", "x.jpg"), ("..", "x.jpg")):
        try:
            read(root, name, folder)
        except (OSError, UnreadablePicture):
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "name", [b"plain", b"z\xe4hl", "zähl".encode(), b"back\\slash", b"\\xe4", b"\\\\x", b"\xff\\x41", b"a/b\n"]
)
def test_what_is_shown_of_a_name_leads_back_to_its_bytes(name):
    text = files.shown(os.fsdecode(name))
    assert text.encode().decode() == text
    assert os.fsencode(files.raw(text)) == name
