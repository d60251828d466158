"""Which labels are learned from: signed, of latest revisions, each content once, undisputed; and roles for ever."""

import hashlib

import pytest
from lab import person, signed_slide

from smear.picture_store import PictureStore
from smear.review_tables import ChangeRow
from smear.tables import utc_now
from trainer.nightly import labels


@pytest.fixture
def slide(store, tmp_path):
    pictures = PictureStore(tmp_path / "pictures")

    def make(slide_id, cells, **values):
        return signed_slide(store, pictures, slide_id, [(text.encode(), label) for text, label in cells], **values)

    return make


def signed(store):
    with store.read() as session:
        found, disagreements = labels.signed(session)
    return {label.sha256: label for label in found}, disagreements


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_only_labels_of_slides_whose_latest_revision_is_signed_count(slide, store):
    slide("S-1", [("a", "monocyte"), ("b", None), ("c", "outside")])
    slide("S-2", [("d", "monocyte")], state="reviewed")
    slide("S-3", [("e", "basophil")])
    slide("S-3", [("e", "basophil")], number=2, state="classified")
    found, disagreements = signed(store)
    assert {sha: label.label for sha, label in found.items()} == {digest("a"): "monocyte"}
    assert disagreements == []


def test_a_picture_on_two_slides_counts_once_and_two_opinions_of_it_not_at_all(slide, store):
    slide("S-1", [("same", "monocyte"), ("other", "monocyte")])
    slide("S-2", [("same", "monocyte"), ("other", "lymphocyte")])
    found, disagreements = signed(store)
    assert list(found) == [digest("same")]
    assert [(d.sha256, d.labels, d.slides) for d in disagreements] == [
        (digest("other"), ("lymphocyte", "monocyte"), (1, 2))
    ]


def test_a_cell_on_which_two_people_said_different_things_is_listed_and_not_learned(slide, store):
    first, second = person(store, "maria"), person(store, "jonas")
    slide("S-1", [("a", "monocyte"), ("b", "monocyte")], user=second)
    with store.write() as session:
        for user, label in ((first, "lymphocyte"), (second, "monocyte")):
            session.add(ChangeRow(revision=1, user=user, at=utc_now(), before=[],
                                  after=[{"cell": 1, "label": label, "kind": None}]))  # fmt: skip
    found, disagreements = signed(store)
    assert list(found) == [digest("b")]
    assert disagreements[0].labels == ("lymphocyte", "monocyte")


def test_slides_are_never_split_and_a_role_is_for_ever(slide, store):
    for number in range(60):
        slide(f"S-{number}", [(f"{number} {i}", "monocyte") for i in range(3)])
    found, _ = signed(store)
    with store.write() as session:
        first = labels.roles(session, found.values(), "one")
    by_slide = {}
    for label in found.values():
        by_slide.setdefault(label.slide, set()).add(first[label.sha256])
    assert all(len(roles) == 1 for roles in by_slide.values())
    held = sum(roles == {"judge"} for roles in by_slide.values())
    assert 6 <= held <= 26  # a quarter of 60, within what chance allows
    # The same picture again, on a slide of the other kind: what it is for does not change.
    moved = [labels.Label(sha, "monocyte", 99, f"elsewhere/{sha}", "di60") for sha in found]
    with store.write() as session:
        assert labels.roles(session, moved, "two") == first


def test_a_picture_on_both_sides_is_never_learned(slide, store):
    inside = next(n for n in range(99) if labels.in_holdout(f"default/S-{n}"))
    out = next(n for n in range(99) if not labels.in_holdout(f"default/S-{n}"))
    for number in (out, inside):
        slide(f"S-{number}", [("same", "monocyte")])
    found, _ = signed(store)
    with store.write() as session:
        assert labels.roles(session, found.values(), "one") == {digest("same"): "judge"}
