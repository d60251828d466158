import shlex
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from trainer.cv import side_by_side
from trainer.cv.folder import is_done
from trainer.cv.side_by_side import run_folds
from trainer.learning import BrokeOff


#: What every fake fold may use. It is called as the real one: `python -P -m trainer.cv.fold OUT FOLD`.
_HEAD = """
import json, os, pathlib, signal, sys, time
out, fold = pathlib.Path(sys.argv[4]), int(sys.argv[5])
folder = out / "folds" / f"{fold:02d}"
folder.mkdir(parents=True, exist_ok=True)
def say(**what): print(json.dumps(what), flush=True)
def done(): (folder / "probabilities.npy").touch()
def started(): (folder / "started").write_text(str(os.getpid()))
"""


@pytest.fixture
def fake_fold(tmp_path, monkeypatch):
    """fake_fold(code): fold processes run this instead of training."""

    def make(code: str) -> None:
        script = tmp_path / "fake_fold.py"
        script.write_text(_HEAD + code, encoding="utf-8")
        python = tmp_path / "fake_python"
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -SE {shlex.quote(str(script))} "$@"\n')
        python.chmod(0o755)
        monkeypatch.setattr(side_by_side, "sys", SimpleNamespace(executable=str(python)))

    return make


@pytest.fixture
def run(tmp_path):
    """run(folds, jobs): what was said, fold by fold."""

    def go(folds: list[int], jobs: int = 2):
        said: list[tuple[int, dict]] = []
        run_folds(tmp_path / "run", folds, jobs, lambda fold, message: said.append((fold, message)))
        return said

    return go


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_a_fold_says_is_passed_on_in_order_and_its_end_comes_last(fake_fold, run):
    fake_fold("say(steps=0, of=4, of_epochs=2, epochs=[])\nsay(steps=2)\nsay(epoch={'epoch': 1})\ndone()")
    assert run([3]) == [
        (3, {"steps": 0, "of": 4, "of_epochs": 2, "epochs": []}),
        (3, {"steps": 2}),
        (3, {"epoch": {"epoch": 1}}),
        (3, {"done": True}),
    ]


@pytest.mark.parametrize("line", ["a library speaks", '{"steps": ', "null", "5", "[1]", "\\xff\\x00", "", "1" * 5000])
def test_a_line_that_is_no_message_is_passed_over(fake_fold, run, line):
    fake_fold(f"os.write(1, b'{line}\\n')\nsay(steps=1)\ntime.sleep(0.05)\ndone()")
    assert run([0]) == [(0, {"steps": 1}), (0, {"done": True})]


def test_half_a_line_at_the_end_hangs_nobody(fake_fold, run):
    fake_fold("os.write(1, b'{\"steps\"')\ndone()")
    assert run([0]) == [(0, {"done": True})]


def test_a_fold_that_is_killed_ends_the_run_with_its_number_and_status(fake_fold, run):
    fake_fold("say(steps=1)\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(BrokeOff, match=r"^fold 1: its process ended with status -9$"):
        run([1])


def test_a_fold_that_says_why_it_failed_is_believed(fake_fold, run):
    fake_fold("say(error='no space left')\nprint('a traceback', file=sys.stderr)\nsys.exit(1)")
    with pytest.raises(BrokeOff, match=r"^fold 0: no space left$"):
        run([0])


def test_a_fold_that_dies_without_a_word_is_told_by_its_last_words(fake_fold, run):
    fake_fold("print('x' * 400 + '\\n  the last\\n  words', file=sys.stderr)\nsys.exit(3)")
    with pytest.raises(BrokeOff, match=r"^fold 0: its process ended with status 3: x+ the last words$") as caught:
        run([0])
    assert len(str(caught.value)) < 400


def test_a_fold_that_ends_without_its_result_has_failed(fake_fold, run):
    fake_fold("say(steps=1)")
    with pytest.raises(BrokeOff, match=r"^fold 0: its process ended with status 0$"):
        run([0])


def test_a_megabyte_on_standard_error_blocks_nobody(fake_fold, run):
    fake_fold("sys.stderr.write('no line end ' * 100_000)\nsys.stderr.flush()\nsay(steps=1)\ndone()")
    assert run([0]) == [(0, {"steps": 1}), (0, {"done": True})]


def test_no_more_than_the_jobs_run_at_a_time_and_all_get_their_turn(fake_fold, run, tmp_path):
    fake_fold("started()\ntime.sleep(0.3)\nsay(running=len(list(out.glob('folds/*/started'))))\n"
              "time.sleep(0.3)\ndone()\n(folder / 'started').unlink()")  # fmt: skip
    said = run([0, 1, 2, 3], jobs=2)
    assert max(message.get("running", 0) for _, message in said) <= 2
    assert sorted(fold for fold, message in said if "done" in message) == [0, 1, 2, 3]
    assert all(is_done(tmp_path / "run", fold) for fold in range(4))


def test_more_jobs_than_folds_are_no_harm(fake_fold, run):
    fake_fold("done()")
    assert sorted(fold for fold, _ in run([0, 1], jobs=50)) == [0, 1]


def test_a_fold_that_has_its_result_is_not_run_again(fake_fold, run, tmp_path):
    fake_fold("sys.exit('not again')")
    (tmp_path / "run" / "folds" / "00").mkdir(parents=True)
    np.save(tmp_path / "run" / "folds" / "00" / "probabilities.npy", np.zeros((1, 5)))
    assert run([0]) == []


def test_one_fold_that_fails_stops_the_others(fake_fold, run, tmp_path):
    fake_fold(
        "started()\n"
        "if fold == 0: time.sleep(100)\n"
        "while not (out / 'folds' / '00' / 'started').exists(): time.sleep(0.01)\n"
        "time.sleep(0.2)\nsys.exit('gone wrong')"
    )
    with pytest.raises(BrokeOff, match="fold 1: its process ended with status 1: gone wrong"):
        run([0, 1])
    assert _gone(int((tmp_path / "run" / "folds" / "00" / "started").read_text()))


def test_a_fold_that_will_not_be_terminated_is_killed(fake_fold, tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "_STOP_SECONDS", 0.5)
    fake_fold("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nstarted()\nsay(steps=1)\ntime.sleep(100)")

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_folds(tmp_path / "run", [0], 1, stop)
    assert _gone(int((tmp_path / "run" / "folds" / "00" / "started").read_text()))


def test_a_fold_is_told_to_use_one_thread_and_asks_nobody_anything(fake_fold, run):
    fake_fold(
        "say(threads=[os.environ[name] for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS')],"
        " stdin=sys.stdin.read(), session=os.getsid(0) == os.getpid())\ndone()"
    )
    (_, first), _ = run([0])
    assert first == {"threads": ["1", "1"], "stdin": "", "session": True}


def test_no_process_and_no_descriptor_is_left_behind(fake_fold, run):
    def open_files() -> int:
        return psutil.Process().num_fds()

    fake_fold("done()")
    run([0])
    before = open_files()
    others = psutil.Process().children()  # a browser that another file's tests have left open, say
    for fold in (1, 2, 3):
        run([fold])
    until = time.monotonic() + 5
    while time.monotonic() < until and open_files() > before:
        time.sleep(0.05)
    assert open_files() <= before
    assert [one for one in psutil.Process().children() if one not in others] == []
