"""The stage `build` of a night: what killed and refused ones left is gone, what serves is untouched; handed back."""

import pytest

from engine_build import tasks
from engine_build.nightly import sweep
from smear import bundle
from smear.nightly_schedule import RESUME
from smear.shipped import shipped_bundle
from smear.tables import BundleRow, utc_now


@pytest.fixture
def compiled(tmp_path):
    """compiled(bundle id, name="openvino"): a folder of compiled forms with something in it."""

    def make(bundle_id, name="openvino"):
        folder = tmp_path / "engines" / bundle_id / name
        folder.mkdir(parents=True)
        (folder / "network.bin").write_bytes(b"-")
        return folder

    return make


def test_what_builds_left_goes_and_what_serves_or_is_being_built_stays(sqlite_store, compiled, tmp_path):
    challenger = bundle.load(shipped_bundle())  # any will do
    with sqlite_store.write() as session:
        session.add(BundleRow(bundle_id="nightly-20310430@aaaaaaaaaaaa", folder="x", registered_at=utc_now()))
    stays = [
        compiled("nightly-20310430@aaaaaaaaaaaa"),
        compiled("wnet-pbc@bbbbbbbbbbbb"),
        compiled(challenger.bundle_id),
    ]
    goes = [compiled("nightly-20310429@cccccccccccc"), compiled(challenger.bundle_id, ".1234abcd")]
    sweep(sqlite_store, tmp_path / "engines", challenger)
    assert [folder.exists() for folder in stays] == [True] * 3
    assert [folder.exists() for folder in goes] == [False] * 2


def test_the_room_hands_a_night_back_and_never_begins_one(monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.subprocess, "run", lambda *_, **__: None)
    monkeypatch.setattr(tasks.current_app, "send_task", lambda name, queue: sent.append((name, queue)))
    tasks.nightly("2031-05-01")
    assert sent == [(RESUME, "train")]
