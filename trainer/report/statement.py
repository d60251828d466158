"""What was run, in one paragraph of plain sentences: the same in every page of the report."""

from collections.abc import Sequence

from smear.cells import CELL_TYPES
from trainer.report.facts import Facts
from trainer.run_folder import Curve, Grouping, RunInfo


def statement(facts: Facts) -> str:
    """Plain text, unescaped: data set names are the user's own words."""
    info = facts.run.info
    subject = (
        f"Cross-validation in {info.folds} {_plural(info.folds, 'fold')} of {info.model}{_parameters(info)}"
        f" on {info.images:,} pictures of the data set {info.data} (geometry profile {info.geometry},"
        f" SHA-256 of contents and types {info.data_sha256[:12]})."
    )
    cost = f"The folds took {duration(facts.result.seconds)} together{_host(info)}."
    return " ".join((subject, *_tuning(facts), _recipe(info), grouping(info.grouping), cost))


def title(info: RunInfo) -> str:
    """What kind of run of what, on what."""
    kind = "Tuning run" if info.tune else "Cross-validation"
    variant = f", {info.variant}" if info.variant else ""
    return f"{kind}: {info.model} on {info.data}, recipe {info.recipe}{variant}"


def beside(facts: Facts) -> str:
    """The same networks asked otherwise: each picture once, and another laboratory's cells; empty if neither."""
    sentences = []
    single, elsewhere = facts.result.pooled.single_view, facts.result.elsewhere
    if single is not None and single.class_average is not None and facts.run.info.views > 1:
        sentences.append(
            f"Seeing each picture once, as a worker does, the class average is {100 * single.class_average:.1f} %."
        )
    if elsewhere is not None and elsewhere.class_average is not None:
        spread = "" if elsewhere.class_average_std is None else f", deviation {100 * elsewhere.class_average_std:.1f}"
        sentences.append(
            f"On {elsewhere.images:,} cells of another laboratory ({elsewhere.data}) the folds' networks reach a class"
            f" average of {100 * elsewhere.class_average:.1f} %{spread}."
        )
        standardised = elsewhere.colours_standardised
        if standardised is not None and standardised.class_average is not None:
            sentences.append(f"With those cells' colours standardised: {100 * standardised.class_average:.1f} %.")
    return " ".join(sentences)


def counts(info: RunInfo) -> str:
    """Cells by type: "neutrophil 2,006, ..."."""
    return ", ".join(f"{name} {info.counts.get(name, 0):,}" for name in CELL_TYPES)


def grouping(found: Grouping) -> str:
    """What was kept together, and what nobody could know."""
    kept = []
    if found.metadata_groups:
        kept.append(f"{found.metadata_groups:,} {_plural(found.metadata_groups, 'group')} of metadata.csv")
    if found.exact_duplicates:
        kept.append(f"{found.exact_duplicates:,} exact {_plural(found.exact_duplicates, 'duplicate')}")
    if found.near_duplicate_groups:
        kept.append(
            f"{found.near_duplicate_groups:,} {_plural(found.near_duplicate_groups, 'group')} of near duplicates"
            f" ({found.near_duplicate_pictures:,} pictures, the largest group {found.largest})"
        )
    together = f"Kept on one side of each split: {', '.join(kept)}." if kept else "No duplicates were found."
    if found.metadata_groups:
        return together
    return f"{together} No slide or patient is known, so pictures of one patient may be on both sides of a split."


def temperatures(curves: Sequence[Curve]) -> str:
    """What calibration would have made of the probabilities; empty where no fold fitted one."""
    known = [curve.temperature for curve in curves if curve.temperature is not None]
    if not known:
        return ""
    return f"Temperatures fitted on the folds' inner splits: {min(known):.2f} to {max(known):.2f}; not applied here."


def duration(seconds: float) -> str:
    """In seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _tuning(facts: Facts) -> list[str]:
    if not facts.run.info.tune:
        return []
    folds = len(facts.fold_numbers)
    sentence = (
        f"A tuning run, no result: {folds} {_plural(folds, 'fold')} alone trained, and scored on a part of the"
        " training pictures, to choose a recipe by; their own test pictures were left alone."
    )
    return [sentence]


def _parameters(info: RunInfo) -> str:
    return "" if info.parameters is None else f" ({info.parameters:,} parameters)"


def _recipe(info: RunInfo) -> str:
    epochs = info.recipe_settings.get("epochs")
    parts = [f"Recipe {info.recipe}"]
    if epochs is not None:
        parts.append(f"{epochs} {_plural(epochs, 'epoch')} a fold")
    if info.shortened:
        parts.append(info.shortened)
    if info.share < 1:
        parts.append(f"trained on {100 * info.share:g} % of each training part, in as many steps as on all of it")
    if info.variant:
        parts.append(f"the same weights as without this variant: {info.variant}")
    parts += [f"seed {info.seed}", f"started from {info.init or 'random weights'}"]
    if info.views > 1:
        parts.append(f"the mean of {info.views} views of each test picture")
    return f"{', '.join(parts)}."


def _host(info: RunInfo) -> str:
    host = info.host
    named = [str(host[key]) for key in ("cpu", "device") if host.get(key) and host[key] != "cpu"]
    if host.get("cores"):
        named.insert(min(1, len(named)), f"{host['cores']} cores")
    return f" on {', '.join(named)}" if named else ""


def _plural(n: int, word: str) -> str:
    return word if n == 1 else f"{word}s"
