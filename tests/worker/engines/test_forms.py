"""Compiled forms are a cache that is checked in every particular before anything of it is loaded."""

import json

import pytest

from worker.engines.forms import SIDECAR, BadForm, StoredForm, processor, rewrite_verification, stamp, stored_forms


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


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"format": 2}, "format"),
        ({"surprise": 1}, "surprise"),
        ({"files": {"../network.plan": "0" * 64}}, "files"),
        ({"bundle": "another@000000000000"}, "was compiled from another@000000000000"),
        ({"network_sha256": "0" * 64}, "build it again"),
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
    from worker.engines import forms

    fake = tmp_path / "cpuinfo"
    monkeypatch.setattr(forms, "_CPUINFO", fake)
    fake.write_text("flags\t\t: fpu sse avx2 avx512f avx512_vnni avx512_bf16\n")
    assert processor() == "avx2_avx512f_vnni_bf16"
    fake.write_text("something else\n")
    assert processor()
