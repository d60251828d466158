"""Manifests are read strictly: a file left out of one would be left out of its slide."""

import json

import pytest

from smear.manifest import BadManifest, Manifest, parse


A, B = "a" * 64, "B" * 64
LISTED = json.dumps({"count": 2, "files": [{"file": "1.jpg", "sha256": A}, {"file": "2.jpg", "sha256": B}]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manifest.json", LISTED),
        ("manifest.json", f'{{"files": {{"1.jpg": "{A}", "2.jpg": "{B}"}}, "count": 2}}'),
        ("manifest.csv", f"file,sha256,count\n1.jpg,{A},2\n2.jpg,{B},2\n"),
        ("MANIFEST.CSV", f"\ufeffFile;SHA256;Count\r\n1.jpg;{A};2\r\n2.jpg;{B};\r\n"),
    ],
)  # fmt: skip
def test_the_same_is_told_in_every_form(name, text):
    assert parse(name, text.encode()) == Manifest({"1.jpg": A, "2.jpg": B.lower()}, 2)


def test_hash_and_count_may_be_left_out():
    assert parse("manifest.csv", b"file\n1.jpg\n") == Manifest({"1.jpg": None}, None)
    assert parse("manifest.json", b'{"files": {"1.jpg": null}}') == Manifest({"1.jpg": None}, None)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("manifest.json", b"{", "only part of it"),
        ("manifest.json", b"[" * 100_000, "only part of it"),
        ("manifest.json", b"7", "no list of files"),
        ("manifest.json", b'{"files": {"a": null}, "count": true}', "whole number"),
        ("manifest.json", b'{"files": {"a": "123"}}', "64 hexadecimal"),
        ("manifest.json", b'{"files": {"": null}}', "no file name"),
        ("manifest.json", b'{"files": {"a/b.jpg": null}}', "no file name"),
        ("manifest.json", b'{"files": {"..": null}}', "no file name"),
        ("manifest.json", rb'{"files": {"\ud800.jpg": null}}', "no file name"),
        ("manifest.json", b'{"files": {"' + b"n" * 252 + b'.jpg": null}}', "no file name"),
        ("manifest.json", b'{"files": [{"file": "a"}, {"file": "a"}]}', "twice"),
        ("manifest.json", b'{"files": {"a": null, "a": null}}', "twice"),
        ("manifest.json", b'{"files": {"a": null}, "files": {"b": null}}', "twice"),
        ("manifest.json", b"\xff", "UTF-8"),
        ("manifest.csv", b"file\n1.jp", "last line"),
        ("manifest.csv", b"name\n1.jpg\n", "no column"),
        ("manifest.csv", b"", "no column"),
        ("manifest.csv", b"file,count\n1.jpg,two\n", "whole number"),
        ("manifest.csv", b"file,count\n1.jpg,2\n2.jpg,3\n", "the same"),
        ("manifest.csv", b'file\n"1.jpg\n', "not CSV"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_reason(name, data, why):
    with pytest.raises(BadManifest, match=why):
        parse(name, data)
