import json

import pytest

from smear.sidecar import Sidecar, understand


def parsed(data, name="slide.json"):
    return understand(data, name).sidecar


def test_the_known_fields_are_read_and_others_left_alone():
    told = parsed(b'{"order_id": "O-1", "wbc_10e9_L": 6.1, "expected_cells": 120, "stain": "MGG", "x": [1]}')
    assert told == Sidecar(order_id="O-1", wbc_10e9_L=6.1, expected_cells=120, stain="MGG")
    assert parsed(b"{}") == Sidecar()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"expected_cells": 12',
        b"[]",
        b"7",
        b"null",
        b"\xff\xfe{}",
        b"[" * 50_000,
        b'{"expected_cells": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_sidecar_is_none_and_says_why(data):
    found = understand(data)
    assert found.sidecar is None
    assert found.problems[0].startswith("not used: ")


@pytest.mark.parametrize(
    "field",
    [
        {"expected_cells": -1},
        {"expected_cells": 1_000_001},
        {"expected_cells": 1.5},
        {"expected_cells": "many"},
        {"wbc_10e9_L": -0.1},
        {"wbc_10e9_L": float("inf")},
        {"wbc_10e9_L": float("nan")},
        {"order_id": ["O-1"]},
        {"order_id": "x" * 201},
        {"order_id": "O\x001"},
        {"specimen": "\ud800"},
    ],
    ids=str,
)
def test_a_senseless_value_is_left_out_and_the_others_hold(field):
    assert parsed(json.dumps(field).encode()) == Sidecar()
    found = understand(json.dumps({"stain": "MGG", **field}).encode())
    assert found.sidecar == Sidecar(stain="MGG")
    (problem,) = found.problems
    assert problem.startswith(f"{next(iter(field))} is not ")
    assert problem.isascii()


def test_a_field_that_json_contradicts_is_left_out():
    found = understand(b'{"expected_cells": 5, "stain": "MGG", "stain": "MGG", "expected_cells": 50}')
    assert found.sidecar == Sidecar(stain="MGG")
    assert found.problems == ("expected_cells is not used: it is given twice with different values",)


XML = b"""<?xml version="1.0" encoding="ISO-8859-1"?>
<wnet:slide xmlns:wnet="urn:x" order_id="O-1"><wnet:wbc_10e9_L> 6.1 </wnet:wbc_10e9_L><stain>M&#252;ller \xfc</stain>
<expected_cells>120</expected_cells><patient><specimen>deeper</specimen></patient></wnet:slide>"""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("slide.xml", XML),
        ("SLIDE.XML", XML.replace(b"encoding", b" encoding")),
        ("slide.csv", "order_id,wbc_10e9_L,stain,expected_cells,x\nO-1,6.1,Müller ü,120,7\n".encode()),
        ("slide.csv", "\ufefforder_id;wbc_10e9_L;stain;expected_cells\r\nO-1;6,1;Müller ü;120\r\n".encode()),
    ],
)
def test_xml_and_csv_tell_the_same_as_json(name, data):
    assert parsed(data, name) == Sidecar(order_id="O-1", wbc_10e9_L=6.1, stain="Müller ü", expected_cells=120)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("slide.xml", b"<slide><stain>MGG</stain>"),
        ("slide.xml", b""),
        ("slide.xml", b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/hostname">]><s><stain>&x;</stain></s>'),
        ("slide.xml", b'<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><s><stain>&b;</stain></s>'),
        ("slide.xml", b'<!DOCTYPE s SYSTEM "http://nowhere.invalid/x.dtd"><s><stain>MGG</stain></s>'),
        ("slide.xml", b'<?xml version="1.0" encoding="nonsense"?><s/>'),
        ("slide.xml", b"<s><stain>&undefined;</stain></s>"),
        ("slide.xml", b"<s>" * 20_000),
        ("slide.xml", b"<s>" + b" " * 70_000 + b"</s>"),
        ("slide.csv", b"order_id,stain\nO-1\n"),
        ("slide.csv", b"order_id\nO-1\nO-2\n"),
        ("slide.csv", b"order_id\n"),
        ("slide.csv", b"order_id\nM\xfcller\n"),
        ("slide.csv", b'order_id\n"O-1\n'),
        ("slide.csv", b"\0"),
    ],
)
def test_xml_and_csv_of_any_other_kind_are_no_sidecar_and_say_why(name, data):
    found = understand(data, name)
    assert found.sidecar is None
    assert found.problems[0].startswith("not used: ")


@pytest.mark.parametrize("data", [
    b"<s><expected_cells>12</expected_cells><expected_cells>120</expected_cells></s>",
    b"<s expected_cells='12'><expected_cells>120</expected_cells></s>",
    b"<s><expected_cells>many</expected_cells></s>", b"<s><expected_cells></expected_cells></s>",
    b"<s><wbc_10e9_L>nan</wbc_10e9_L></s>", b"<s><expected_cells>1<b>2</b>0</expected_cells></s>",
])  # fmt: skip
def test_a_field_told_twice_or_without_sense_is_left_out(data):
    assert parsed(data, "slide.xml") == Sidecar()


def test_json_numbers_are_numbers():
    assert parsed(b'{"expected_cells": "120", "wbc_10e9_L": 6, "stain": "MGG"}') == Sidecar(wbc_10e9_L=6.0, stain="MGG")


def test_a_wrong_field_is_named_with_its_value_and_the_others_hold():
    found = understand(b'{"wbc_10e9_L": "abc", "order_id": "O-1", "other": 1}')
    assert found.sidecar == Sidecar(order_id="O-1")
    assert found.problems == ('wbc_10e9_L is not used: it must be a number from 0 to 10,000; found "abc"',)


def test_a_wrong_value_that_may_be_a_patients_is_named_without_it():
    (problem,) = understand(b'{"order_id": 4711}').problems
    assert problem == "order_id is not used: it must be text of at most 200 characters"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("slide.json", b'{"WBC": 5.1, "order": "O-1"}'),
        ("slide.json", b'{"slide": {"order_id": "O-1"}}'),
        ("slide.xml", b"<slide><wbc>5.1</wbc></slide>"),
        ("slide.csv", b"wbc,order\n5.1,O-1\n"),
    ],
)
def test_a_sidecar_of_unknown_fields_alone_says_so(name, data):
    found = understand(data, name)
    assert found.sidecar == Sidecar()
    assert found.problems[0].startswith("it has no known field; known fields are: order_id, ")


def test_unknown_fields_beside_known_ones_and_an_empty_sidecar_are_no_problem():
    assert understand(b'{"order_id": "O-1", "x": 1}').problems == ()
    assert understand(b"{}").problems == ()
    assert understand(b"<s/>", "slide.xml").problems == ()
