"""The schedule: the night at its local time, other rooms' tasks by the names that they have, nothing heavy loaded."""

import os
import subprocess
import sys

from smear.nightly_schedule import DRIFT, RESUME, schedule
from smear.runs import BUILD, GO_ON


READ = """
import json, sys
from trainer.celery import app
import trainer.tasks
night = app.conf.beat_schedule.get("night")
print(json.dumps({
    "names": sorted(app.conf.beat_schedule), "zone": str(app.timezone),
    "hour": sorted(night["schedule"].hour) if night else None,
    "minute": sorted(night["schedule"].minute) if night else None,
    "expires": {n: e["options"]["expires"] for n, e in app.conf.beat_schedule.items()},
    "queues": {n: e["options"]["queue"] for n, e in app.conf.beat_schedule.items()},
    "tasks": sorted(n for n in app.tasks if not n.startswith("celery.")),
    "torch": "torch" in sys.modules, "file": app.conf.beat_schedule_filename,
}))
"""


def read(tmp_path, **variables):
    import json

    environment = os.environ | {"WNET_VAR": str(tmp_path), "TZ": "Asia/Seoul"} | variables
    done = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


def test_the_night_comes_at_its_local_time(tmp_path):
    told = read(tmp_path, WNET_NIGHTLY_AT="23:45")
    assert (told["hour"], told["minute"], told["zone"]) == ([23], [45], "Asia/Seoul")
    assert told["queues"] == {"drift": "slides", "night": "train", "resume": "train"}
    # What nobody takes is dropped: where no host does the work, messages do not pile up.
    assert told["expires"] == {"drift": 6 * 3600, "night": 24 * 3600, "resume": 2 * 3600}
    assert told["tasks"] == sorted([GO_ON, RESUME])
    # Whoever only runs slides has no torch, and need not.
    assert not told["torch"]
    assert told["file"] == str(tmp_path / "schedule")


def test_it_can_be_switched_off(tmp_path, make_settings):
    assert read(tmp_path, WNET_NIGHTLY_AT="off")["names"] == ["drift"]
    assert schedule(make_settings(nightly_at="off")) == {"drift": (DRIFT, 3600.0, "slides")}


def test_each_task_is_there_in_its_room(tmp_path):
    code = "import engine_build.tasks, worker.tasks; from celery import current_app as a; print(*sorted(a.tasks))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=os.environ | {"WNET_VAR": str(tmp_path)})  # fmt: skip
    assert {BUILD, DRIFT} <= set(done.stdout.split())
