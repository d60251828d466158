"""What `engine-build` shows: compiled forms and verdicts as tables for people, as JSON objects for programs."""

from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from smear.bundle import Bundle
from smear.settings import Settings
from worker.engines.face import EngineUnavailable
from worker.engines.forms import Form, StoredForm, Verification
from worker.engines.select import CHOICES, open_engine


def verdict_object(bundle: Bundle, engine: str, verdict: Verification) -> dict[str, Any]:
    """The keys that `engine-build verify --json` prints for each engine."""
    return {
        "bundle": bundle.bundle_id,
        "engine": engine,
        "images": verdict.images,
        "data": verdict.data,
        "largest_difference": round(verdict.largest_difference, 9),
        "type_agreement": round(verdict.type_agreement, 6),
        "class_average": round(verdict.class_average, 6),
        "reference_class_average": round(verdict.reference_class_average, 6),
        "images_per_second": round(verdict.images_per_second, 1),
        "times_default": round(verdict.times_default, 2),
        "ok": verdict.ok,
        "reasons": list(verdict.reasons),
    }


def form_object(stored: StoredForm) -> dict[str, Any]:
    """A compiled form as `engine-build inspect --json` prints it."""
    return {"form": stored.form.name, "folder": str(stored.folder), "megabytes": _megabytes(stored)} | (
        stored.form.model_dump(mode="json", exclude={"files", "format", "network_sha256"})
    )


def verdicts_table(bundle: Bundle, verdicts: Iterable[tuple[str, Verification]]) -> Table:
    """A row an engine."""
    table = Table(
        Column("engine", no_wrap=True), "type agrees", "class average", "largest difference", "pictures/s",
        "times default", "",
        title=f"{bundle.bundle_id} beside its float32 reference; speeds on one thread",
    )  # fmt: skip
    for name, one in verdicts:
        table.add_row(
            name,
            f"{one.type_agreement:.2%}",
            f"{one.class_average:.2%} of {one.reference_class_average:.2%}",
            f"{one.largest_difference:.4f}",
            f"{one.images_per_second:.0f}",
            f"{one.times_default:.2f}",
            "agrees" if one.ok else escape("; ".join(one.reasons)),
        )
    return table


def forms_table(bundle: Bundle, stored: Iterable[StoredForm]) -> Table:
    """A row a compiled form."""
    table = Table(
        Column("form", no_wrap=True),
        "made for",
        "MB",
        "type agrees",
        "pictures/s",
        "times default",
        "",
        title=f"compiled: {bundle.bundle_id}",
    )
    for one in stored:
        verdict = one.form.verification
        table.add_row(
            one.form.name,
            made_for(one.form),
            f"{_megabytes(one):.1f}",
            f"{verdict.type_agreement:.2%}" if verdict else "",
            f"{verdict.images_per_second:.0f}" if verdict else "",
            f"{verdict.times_default:.2f}" if verdict else "",
            ("agrees" if verdict.ok else escape("; ".join(verdict.reasons))) if verdict else "built, not run here",
        )
    return table


def made_for(form: Form) -> str:
    """Runtime, version and device of a form."""
    capability = f" ({form.compute_capability})" if form.compute_capability else ""
    return f"{form.runtime} {form.version}, {form.device}{capability}"


def bundle_facts(found: Bundle, settings: Settings) -> dict[str, Any]:
    """What a bundle is, what it was trained on, and which engines run it on this host in the chosen precision."""
    manifest = found.manifest
    return {
        "bundle": found.bundle_id,
        "folder": str(found.folder),
        "created": manifest.created.isoformat(),
        "geometry": manifest.geometry,
        "data": manifest.data.model_dump(),
        "training_mix": manifest.training_mix,
        "parent": manifest.parent,
        "command": manifest.command,
        "calibration": manifest.calibration.model_dump(),
        "engines": {name: _runs(found, name, settings) for name in CHOICES if name != "auto"},
    }


def facts_table(facts: dict[str, Any]) -> Table:
    """A bundle's facts for people."""
    table = Table(show_header=False)
    for key, value in facts.items():
        table.add_row(key.replace("_", " "), escape(_plain(value)))
    return table


def _runs(found: Bundle, name: str, settings: Settings) -> str:
    try:
        return f"runs here as {open_engine(found, name, 0, settings.engines_folder, settings.precision).name}"
    except EngineUnavailable as error:
        return f"does not run here: {error}"


def _megabytes(stored: StoredForm) -> float:
    return round(stored.bytes_on_disk / 1e6, 1)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_plain(inner)}" for key, inner in value.items())
    return str(value)
