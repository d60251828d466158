"""The options that several commands of the trainer share, and how they become values."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from threadpoolctl import threadpool_limits

from smear.geometry import PROFILES, Profile, profile
from trainer.memory import keep_freed
from trainer.models.catalogue import MODELS
from trainer.produce import BadOrder


Data = Annotated[Path, typer.Option(help="Data folder: DIR/<cell type>/<picture>.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
Geometry = Annotated[str, typer.Option(help=f"Geometry profile: {', '.join(PROFILES)}.")]
BundleGeometry = Annotated[str | None, typer.Option(help="Geometry profile; the bundle's own by default.")]
Out = Annotated[Path, typer.Option(help="Folder that bundles lie in.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's; every output says so.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Keys every random number.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads of torch; 0 leaves it to torch.")]
Name = Annotated[str, typer.Option(help="Name of the bundle to make.")]
Init = Annotated[Path | None, typer.Option(help="Bundle to start from instead of random weights.")]
ModelName = Annotated[str, typer.Option(help=f"{', '.join(MODELS)}.")]
Across = Annotated[bool, typer.Option("--across-geometries", help="--init may be of another geometry profile.")]
Outside = Annotated[Path | None, typer.Option(help="Cells outside the five, DIR/<kind>/, to judge on.")]
Elsewhere = Annotated[Path | None, typer.Option(help="Another laboratory's cut cells, to judge on.")]
AnyRecipeName = Annotated[
    str | None,
    typer.Option(
        help="One of the model's (W-Net: best, paper, smoke, ...; ResNet50: paper, healthy, smoke), or a JSON file."
    ),
]
RecipeName = Annotated[str, typer.Option(help="paper, best, smoke, or a JSON file that says what differs from best.")]
CrossValidation = Annotated[
    Path | None, typer.Option("--cv", help="Finished trainer cv of this recipe, whose scores the bundle is to tell.")
]
SkipUnusable = Annotated[bool, typer.Option("--skip-unusable", help="Go on without pictures that cannot be used.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def profile_of(name: str | None, default: Profile | None = None) -> Profile:
    """The profile of that name, or the default where none is given; raises BadOrder."""
    if name is None and default is not None:
        return default
    try:
        return profile(name or "")
    except ValueError as error:
        raise BadOrder(str(error)) from None


def device_of(name: str) -> str:
    """`cpu` or `cuda`; raises BadOrder for another name, and for a GPU that torch does not see."""
    if name not in ("auto", "cpu", "cuda"):
        raise BadOrder(f"no device {name!r}; there are: auto, cpu, cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise BadOrder("this torch sees no CUDA device: choose auto or cpu to train on the CPU")
    return "cuda" if there and name != "cpu" else "cpu"


def prepare_torch(threads: int) -> None:
    """Settings of the process, before anything is trained in it."""
    keep_freed()
    if threads:
        torch.set_num_threads(threads)
        threadpool_limits(threads)
