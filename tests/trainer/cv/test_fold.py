import fcntl
import json
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from smear.decision import softmax
from trainer.checkpoint import DamagedCheckpoint
from trainer.cv import plan as planning
from trainer.cv.fold import run_fold
from trainer.cv.laid_down import held, lay_down
from trainer.cv.side_by_side import run_folds
from trainer.export import weights_from_bundle
from trainer.fit import logits_of_views
from trainer.learning import BrokeOff
from trainer.recipes import Recipe


def test_a_fold_starts_from_the_weights_of_the_bundle_that_was_given(lay, shipped_bundle):
    # A rate at which nothing moves: what comes out is what went in.
    still = Recipe(epochs=1, batch=32, learning_rate=1e-12, inner_share=0, average_epochs=0, views=1)
    plan = lay(init=shipped_bundle, recipe=still, seed=2**32 - 1)
    assert plan.run["init"] == shipped_bundle.bundle_id
    run_fold(plan.order.out, 1)
    images = plan.pixels.images[plan.test_rows(1)]
    expected = softmax(logits_of_views(weights_from_bundle(shipped_bundle), images, 1)[0])
    left = np.load(plan.order.out / "folds" / "01" / "probabilities.npy")
    np.testing.assert_allclose(left, expected, atol=1e-4)
    curve = json.loads((plan.order.out / "folds" / "01" / "curve.json").read_text(encoding="utf-8"))
    assert curve["temperature"] is None
    assert curve["elsewhere"] is None
    assert not (plan.order.out / "folds" / "01" / "checkpoint.pt").exists()


def test_a_fold_scores_the_other_laboratory_as_it_is_and_in_standard_colours(lay, shipped_bundle, own_data):
    still = Recipe(epochs=1, batch=32, learning_rate=1e-12, inner_share=0.2, average_epochs=0, views=1)
    plan = lay(init=shipped_bundle, recipe=still, elsewhere=own_data)
    run_fold(plan.order.out, 0)
    curve = json.loads((plan.order.out / "folds" / "00" / "curve.json").read_text(encoding="utf-8"))
    found = curve["elsewhere"]
    assert found["images"] == found["standardised"]["images"] == 40
    assert found["class_average"] > 0.9
    assert found["nll"] != found["standardised"]["nll"]
    assert curve["temperature"] > 0
    test = curve["epochs"][-1]["test"]
    assert sum(curve["single_view_correct"].values()) == round(test["accuracy"] * 20)


def test_a_result_that_another_process_left_meanwhile_is_kept(tmp_path):
    # There is nothing to train on: whoever tries would fail.
    folder = tmp_path / "folds" / "00"
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=run_fold, args=(tmp_path, 0))
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()
        (folder / "probabilities.npy").write_bytes(b"its result")
    waiting.join(10)
    assert not waiting.is_alive()
    assert (folder / "probabilities.npy").read_bytes() == b"its result"


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half of one"])
def test_a_damaged_checkpoint_is_named_and_left_for_the_person_to_remove(lay, content):
    out = lay().order.out
    checkpoint = out / "folds" / "00" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=f"{checkpoint} is damaged; remove it, and its run begins again"):
        run_fold(out, 0)
    assert checkpoint.read_bytes() == content


def test_a_checkpoint_that_holds_something_else_is_damaged_too(lay):
    out = lay().order.out
    checkpoint = out / "folds" / "00" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    for content in ([1, 2], {"state": {}}):
        torch.save(content, checkpoint)
        with pytest.raises(DamagedCheckpoint, match="is damaged"):
            run_fold(out, 0)


def test_what_goes_wrong_unexpectedly_is_one_sentence_with_the_traceback_in_a_file(lay):
    # A real process, of which nobody catches what numpy raises here.
    out = lay().order.out
    (out / "work" / "pixels.npz").write_bytes(b"no pictures")
    log = out / "folds" / "00" / "error.log"
    with pytest.raises(BrokeOff, match=rf"^fold 0: \w+: .* \(more in {log}\)$") as caught:
        run_folds(out, [0], 1)
    assert "\n" not in str(caught.value)
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert "_read" in log.read_text(encoding="utf-8")


def test_a_missing_file_is_one_sentence_without_a_log(lay):
    out = lay().order.out
    shutil.rmtree(out / "work")
    with pytest.raises(BrokeOff, match=r"^fold 0: .*No such file or directory: .*pixels\.npz"):
        run_folds(out, [0], 1)
    assert not (out / "folds" / "00" / "error.log").exists()


def test_a_fold_of_another_plan_does_not_go_on_from_the_checkpoint_that_is_there(lay, make_order):
    plan = lay(recipe=Recipe(epochs=2, batch=32, inner_share=0))
    out = plan.order.out

    class Stop(Exception):
        pass

    def stop(*_, **__):
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        # After the first epoch's checkpoint is on disk, before its epoch is told.
        patch.setattr("trainer.cv.fold._say", lambda **what: stop() if "epoch" in what else None)
        with pytest.raises(Stop):
            run_fold(out, 0)
    shutil.rmtree(out / "work")
    (out / "run.json").unlink()
    other = planning.make(replace(make_order(), recipe=Recipe(epochs=2, batch=32, inner_share=0), seed=1))
    with held(out):
        lay_down(other)
    with pytest.raises(Exception, match="holds an unfinished run with other data or settings"):
        run_fold(out, 0)


#: What takes seconds to import, and each fold's process would wait for again.
_NOT_NEEDED = ("sklearn", "scipy", "matplotlib", "pyarrow", "onnx", "onnxruntime", "sqlalchemy")
_TRAINS_A_STEP = """
import sys
import torch
import trainer.cv.fold
from trainer.adam import Adam
from trainer.wnet import WNet
network = WNet()
optimiser = Adam(network)
network.train()(torch.zeros((1, 128, 128, 3), dtype=torch.uint8))[0].sum().backward()
optimiser.step(1e-3)
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_a_folds_process_imports_nothing_that_w_net_does_not_need():
    call = [sys.executable, "-c", _TRAINS_A_STEP, *_NOT_NEEDED]
    done = subprocess.run(call, capture_output=True, text=True, check=True, timeout=90)
    assert done.stdout.split() == []


def test_the_older_families_find_scikit_learn_when_they_are_asked_for():
    code = (
        "import sys, numpy as np\n"
        "from smear.labelled import Pixels\n"
        "from trainer.models import catalogue\n"
        "from trainer.training_set import TrainingSet\n"
        "assert 'sklearn' not in sys.modules\n"
        "model, nothing = catalogue.model('svm'), Pixels(np.empty((0, 3)), np.empty(0, int), [], [])\n"
        "learner = model.learner(model.recipe(), TrainingSet(nothing, nothing), 0, None, 'cpu')\n"
        "print(type(learner.pipeline).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=90)
    assert done.stdout == "sklearn.pipeline\n"
