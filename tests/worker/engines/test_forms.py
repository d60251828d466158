"""Compiled forms are a cache that is checked in every particular before anything of it is loaded."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from worker.engines import forms
from worker.engines.forms import (
    SIDECAR,
    BadForm,
    CannotKeep,
    StoredForm,
    forms_folder,
    processor,
    rewrite_verification,
    stamp,
    stored_forms,
    write,
)  # fmt: skip


def all_of(bundle, tmp_path):
    return list(stored_forms(tmp_path / "engines", bundle))


def edit(stored, **changed):
    path = stored.folder / SIDECAR
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_what_is_written_is_found_and_read(bundle, tmp_path, store_form, verdict):
    stored = store_form(b"plan", backend="tensorrt", runtime="tensorrt", version="11.4", device="NVIDIA H/200 x",
                        compute_capability="9.0", precision="fp16", verification=verdict())  # fmt: skip
    assert all_of(bundle, tmp_path) == [stored]
    assert stored.read("network.plan") == b"plan"
    assert stored.folder.relative_to(tmp_path / "engines").parts == (
        bundle.bundle_id, "tensorrt-11.4-NVIDIA_H_200_x-9.0", "fp16",
    )  # fmt: skip
    assert stored.bytes_on_disk == 4


def test_a_form_of_the_same_place_is_replaced_and_nothing_else_is_left(bundle, tmp_path, store_form):
    store_form(b"first")
    second = store_form(b"second")
    assert [one.read("network.plan") for one in all_of(bundle, tmp_path)] == [b"second"]
    assert [path.name for path in second.folder.parents[1].iterdir()] == [second.folder.parent.name]


def test_a_build_that_fails_leaves_nothing(bundle, tmp_path, store_form):
    with pytest.raises(ValueError, match="validation error"):
        store_form(precision="fp7")
    assert all_of(bundle, tmp_path) == []
    assert list((tmp_path / "engines" / bundle.bundle_id).iterdir()) == []


@pytest.mark.parametrize(
    "change", [lambda d: d[:-1], lambda d: d + b"\0", lambda _: b""], ids=["short", "long", "empty"]
)
def test_other_bytes_than_the_sidecar_says_are_not_loaded(store_form, change):
    stored = store_form()
    path = stored.folder / "network.plan"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BadForm, match="is not what its sidecar says"):
        stored.read("network.plan")


def test_a_missing_file_and_a_link_are_refused(store_form, tmp_path):
    stored = store_form()
    path = stored.folder / "network.plan"
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(BadForm, match="cannot be read"):
        stored.read("network.plan")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadForm, match="no plain file"):
        stored.read("network.plan")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadForm, match="no plain file"):
        stored.read("network.plan")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"format": 2}, "format"),
        ({"surprise": 1}, "surprise"),
        ({"files": {"../network.plan": "0" * 64}}, "files"),
        ({"bundle": "another@000000000000"}, "was compiled from another@000000000000"),
        ({"network_sha256": "0" * 64}, "build it again"),
        ({"backend": "tensorrt"}, "no runtime openvino loads forms of tensorrt"),
        ({"backend": "tensorrt", "runtime": "os"}, "no runtime os loads forms of tensorrt"),
        ({"device": "two\nlines"}, "device"),
        ({"version": ""}, "version"),
        ({"bundle": "\u001b[31mred"}, "bundle"),
    ],
)
def test_a_sidecar_that_says_something_else_is_refused_in_one_sentence(bundle, tmp_path, store_form, changed, says):
    edit(store_form(), **changed)
    (refused,) = all_of(bundle, tmp_path)
    assert isinstance(refused, BadForm)
    assert says in str(refused)
    assert str(refused).isprintable()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b" " * (2**16 + 1)])
def test_a_sidecar_that_is_none_is_refused(bundle, tmp_path, store_form, content):
    (store_form().folder / SIDECAR).write_bytes(content)
    assert isinstance(all_of(bundle, tmp_path)[0], BadForm)


def test_a_sidecar_that_is_a_pipe_keeps_nobody_waiting(bundle, tmp_path, store_form):
    sidecar = store_form().folder / SIDECAR
    sidecar.unlink()
    os.mkfifo(sidecar)
    assert isinstance(all_of(bundle, tmp_path)[0], BadForm)


# --- writing where much can go wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_or_a_folder_that_is_read_only_is_one_sentence_and_leaves_nothing(
    bundle, tmp_path, store_form, number
):
    before = store_form(b"kept")

    def fill(folder):
        (folder / "network.plan").write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(CannotKeep, match=f"compiled forms cannot be kept in .*: {os.strerror(number)}$"):
        write(tmp_path / "engines", bundle, fill)
    assert all_of(bundle, tmp_path) == [before]
    assert before.read("network.plan") == b"kept"
    assert list(forms_folder(tmp_path / "engines", bundle).glob(".*")) == []


def test_a_verdict_on_a_form_that_was_built_again_meanwhile_is_not_kept(bundle, tmp_path, store_form, verdict):
    first, second = store_form(b"first"), store_form(b"second")
    with pytest.raises(CannotKeep, match="was built again meanwhile"):
        rewrite_verification(first, verdict())
    assert all_of(bundle, tmp_path) == [second]


def test_a_verdict_on_a_full_disk_leaves_the_sidecar_as_it_was(bundle, tmp_path, store_form, verdict, monkeypatch):
    stored = store_form()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(forms.Path, "write_text", full)
    with pytest.raises(CannotKeep, match=r"^the verdict cannot be kept in .*: No space left on device$"):
        rewrite_verification(stored, verdict())
    assert all_of(bundle, tmp_path) == [stored]


def test_an_engines_folder_that_is_none_is_one_sentence(bundle, tmp_path, store_form, verdict):
    stored = store_form()
    shutil.rmtree(stored.folder)
    with pytest.raises(BadForm, match=r"cannot be read: No such file or directory$"):
        rewrite_verification(stored, verdict())
    shutil.rmtree(tmp_path / "engines")
    (tmp_path / "engines").write_text("a file")
    with pytest.raises(CannotKeep, match="Not a directory"):
        store_form()
    assert all_of(bundle, tmp_path) == []
    assert stamp(tmp_path / "engines", bundle) == ()


def test_builds_of_one_form_at_once_all_end_well_and_one_of_them_stays(bundle, tmp_path, store_form):
    failed, gate = [], threading.Barrier(4)

    def build(content):
        gate.wait()
        for _ in range(25):
            try:
                store_form(content)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test names it
                failed.append(error)

    threads = [threading.Thread(target=build, args=(bytes([65 + i]),)) for i in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for found in all_of(bundle, tmp_path):  # a worker looks meanwhile: what it reads is whole
            if isinstance(found, StoredForm):
                with suppress(BadForm):  # replaced between two looks: it falls back, and the stamp has changed
                    assert found.read("network.plan") in {b"A", b"B", b"C", b"D"}
    assert failed == []
    (last,) = all_of(bundle, tmp_path)
    assert last.read("network.plan") in {b"A", b"B", b"C", b"D"}
    assert list(forms_folder(tmp_path / "engines", bundle).glob(".*")) == []


def test_a_build_that_was_killed_leaves_nothing_that_is_taken_for_a_form_and_is_swept_up(bundle, tmp_path, store_form):
    code = """
import pathlib, sys, time
from smear import bundle
from worker.engines.forms import write
def fill(folder):
    (folder / "network.plan").write_bytes(b"half")
    print("filling", flush=True)
    time.sleep(600)
write(pathlib.Path(sys.argv[1]), bundle.load(pathlib.Path(sys.argv[2])), fill)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "engines"), str(bundle.folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "filling\n"
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    (left,) = forms_folder(tmp_path / "engines", bundle).iterdir()
    assert all_of(bundle, tmp_path) == []
    assert stamp(tmp_path / "engines", bundle) == ()
    store_form()
    assert left.exists()  # it may be of a build that goes on
    os.utime(left, (0, 0))
    store_form(b"again")
    assert not left.exists()


def test_the_stamp_changes_with_whatever_changes_what_may_serve(bundle, tmp_path, store_form, verdict):
    engines = tmp_path / "engines"
    seen = [stamp(engines, bundle)]
    first = store_form()
    seen.append(stamp(engines, bundle))
    assert seen[-1] == stamp(engines, bundle)
    rewrite_verification(first, verdict(reasons=("it differs",)))
    seen.append(stamp(engines, bundle))
    store_form(precision="fp32")
    seen.append(stamp(engines, bundle))
    assert len(set(seen)) == 4


def test_a_new_verdict_is_read_back(bundle, tmp_path, store_form, verdict):
    stored = rewrite_verification(store_form(), verdict(type_agreement=0.5, reasons=("it differs",)))
    (read,) = all_of(bundle, tmp_path)
    assert read == stored
    assert isinstance(read, StoredForm)
    assert read.form.verification is not None
    assert not read.form.verification.ok


def test_the_processor_is_told_by_its_instructions(tmp_path, monkeypatch):
    fake = tmp_path / "cpuinfo"
    monkeypatch.setattr(forms, "_CPUINFO", fake)
    fake.write_text("flags\t\t: fpu sse avx2 avx512f avx512_vnni avx512_bf16\n")
    assert processor() == "avx2_avx512f_vnni_bf16"
    fake.write_text("something else\n")
    assert processor()
