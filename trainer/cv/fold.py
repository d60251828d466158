"""One fold, in a process of its own on one thread: train, score the test cells, leave a small result.

Run as `python -m trainer.cv.fold RUN NUMBER`. Every line on standard output is a JSON object that tells the parent how
far it is; when nobody reads any more, the process ends at its next step.
"""

import fcntl
import json
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from smear.cells import CELL_TYPES
from smear.decision import softmax
from smear.labelled import Pixels
from smear.plain import PlainError
from trainer.calibrate import fit_temperature
from trainer.checkpoint import Checkpoint
from trainer.colours import all_standardised
from trainer.cv.folder import (
    CHECKPOINT,
    CURVE,
    PROBABILITIES,
    RUN,
    WORK,
    folder_of,
    is_done,
    save_array,
    variant_file,
    write_json,
)
from trainer.fit import Images
from trainer.learning import Answers, BrokeOff, Epoch, run
from trainer.memory import keep_freed
from trainer.models import catalogue
from trainer.models.face import Model
from trainer.scores import Floats, score
from trainer.training_set import TrainingSet


BROKE_OFF: Final = 1
_SAY_EVERY_SECONDS: Final = 0.5


def main() -> None:
    """Entry point of the process."""
    out, fold = Path(sys.argv[1]), int(sys.argv[2])
    keep_freed()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            run_fold(out, fold)
    except BrokenPipeError:
        sys.stderr.close()  # the parent is gone, and with it whoever would read of it
        sys.exit(BROKE_OFF)
    except (BrokeOff, PlainError, OSError) as error:
        _say(error=str(error), for_good=isinstance(error, PlainError))
        sys.exit(BROKE_OFF)
    except Exception as error:  # noqa: BLE001
        # At the edge of the process: the person gets a sentence, whoever mends it the traceback.
        log = folder_of(out, fold) / "error.log"
        log.write_text(traceback.format_exc(), encoding="utf-8")
        _say(error=f"{type(error).__name__}: {error} (more in {log})")
        sys.exit(BROKE_OFF)


def run_fold(out: Path, fold: int) -> None:
    """Train fold `fold` of the run in `out` from its last checkpoint to its result; raises BrokeOff."""
    folder = folder_of(out, fold)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # A process that was left behind by a parent killed outright still writes here for a step.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_done(out, fold):
            _train(out, fold, folder)


def _train(out: Path, fold: int, folder: Path) -> None:
    started = time.monotonic()
    order = json.loads((out / RUN).read_text(encoding="utf-8"))
    model = catalogue.model(order["model"])
    recipe = model.saved(order["recipe_settings"])
    device = order["host"]["device"]
    data, test = _read(out / WORK, fold)
    init = out / WORK / "init.pt"
    weights = torch.load(init, weights_only=True) if init.is_file() else None
    # Every fold draws its own random numbers, whatever runs beside it.
    learner = model.learner(recipe, data, order["seed"] * 1000 + fold, weights, device)
    identity = {key: order[key] for key in ("geometry", "data_sha256", "assignment_sha256", "seed", "init", "tune")}
    identity |= {"recipe": asdict(recipe), "fold": fold} | ({"share": order["share"]} if "share" in order else {})
    checkpoint = Checkpoint(folder / CHECKPOINT, json.dumps(identity, sort_keys=True))
    curve: list[dict[str, Any]] = []
    seconds_before = 0.0

    def restore(state: dict[str, Any]) -> None:
        nonlocal curve, seconds_before
        curve, seconds_before = json.loads(state.pop("curve")), state.pop("seconds")
        learner.restore(state)
        del curve[learner.epochs_done :]

    checkpoint.resume(restore)
    since = seconds_before - started
    last_said = 0.0
    observed = model.observed_cells

    def on_step() -> None:
        nonlocal last_said
        if time.monotonic() - last_said >= _SAY_EVERY_SECONDS:
            last_said = time.monotonic()
            _say(steps=learner.steps_done)

    def keep(epoch: Epoch) -> dict[str, Any]:
        scores = score(softmax(learner.logits(test.images[:observed], 1)[0]), test.labels[:observed])
        curve.append(
            {
                "epoch": epoch.number,
                "loss": epoch.loss,
                "learning_rate": epoch.learning_rate,
                "seconds": round(time.monotonic() + since, 1),
                "test": {"class_average": scores.class_average, "accuracy": scores.accuracy, "recall": scores.recall},
            }
        )
        return {"curve": json.dumps(curve), "seconds": time.monotonic() + since}

    _say(steps=learner.steps_done, of=learner.steps_per_epoch * recipe.epochs, of_epochs=recipe.epochs, epochs=curve)
    run(learner, checkpoint, lambda _: _say(epoch=curve[-1]), on_step, keep)
    result: dict[str, Any] = {"fold": fold, "temperature": None, "epochs": curve}
    elsewhere = out / WORK / "elsewhere.npz"
    probabilities, judged = _judged(model, learner.logits, data, test, recipe.views, elsewhere)
    result |= judged
    for name, answers in learner.variants():
        other, of_variant = _judged(model, answers, data, test, recipe.views, elsewhere)
        result.setdefault("variants", {})[name] = of_variant
        save_array(folder / variant_file(name), other)
    result["seconds"] = round(time.monotonic() + since, 1)
    write_json(folder / CURVE, result)
    save_array(folder / PROBABILITIES, probabilities)
    checkpoint.path.unlink(missing_ok=True)


def _judged(
    model: Model, answers: Answers, data: TrainingSet, test: Pixels, views: int, elsewhere: Path
) -> tuple[Floats, dict[str, Any]]:
    """What the weights say of the test cells, and what that comes to."""
    temperature = None
    if len(data.inner.labels):
        temperature = fit_temperature(answers(data.inner.images, 1)[0], data.inner.labels)
    logits = answers(test.images, views)
    right = _correct(logits[0], test)
    others = _elsewhere(elsewhere, model, answers, views)
    return _mean(logits), {"temperature": temperature, "single_view_correct": right, "elsewhere": others}


def _mean(views: Floats) -> Floats:
    """(V, N, 5) logits -> (N, 5) probabilities, the mean over the views."""
    return np.asarray(np.mean([softmax(logits) for logits in views], axis=0), np.float32)


def _correct(logits: Floats, test: Pixels) -> dict[str, int]:
    right = logits.argmax(axis=1) == test.labels
    return {t: int(right[test.labels == i].sum()) for i, t in enumerate(CELL_TYPES)}


def _elsewhere(path: Path, model: Model, answers: Answers, views: int) -> dict[str, Any] | None:
    """Scores on another laboratory's cells, as they are and with their colours standardised."""
    if not path.is_file():
        return None
    with np.load(path) as saved:
        images, labels = saved["images"], saved["labels"]

    def judged(seen: Images) -> dict[str, Any]:
        return score(_mean(answers(model.see(seen), views)), labels).as_json()

    return judged(images) | {"standardised": judged(all_standardised(images))}


def _read(work: Path, fold: int) -> tuple[TrainingSet, Pixels]:
    with np.load(work / "pixels.npz") as saved, np.load(work / f"rows-{fold:02d}.npz") as rows:
        images, labels = saved["images"], saved["labels"]
        parts = [rows[name] for name in ("train", "inner", "test")]
        train, inner, test = (Pixels(images[part], labels[part], [], []) for part in parts)
    return TrainingSet(train, inner), test


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
