"""The older families in words: what stands between a picture's features and its type, settings fixed beforehand."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Family:
    """`steps` says in words what `trainer.older.pipelines` makes of the family of that name."""

    title: str
    steps: tuple[str, ...]


_STANDARD: Final = "each feature to mean 0 and deviation 1"
FAMILIES: Final[dict[str, Family]] = {
    "svm": Family("support vector machine", (_STANDARD, "radial basis, C 10, classes balanced")),
    "knn": Family("nearest neighbours", (_STANDARD, "5 neighbours, weighted by distance")),
    "lda": Family("linear discriminant analysis", (_STANDARD, "covariance shrunk after Ledoit and Wolf")),
    "naive-bayes": Family("naive Bayes", ("each feature to a normal distribution by its ranks", "Gaussian")),
    "tree": Family("decision tree", ("at least 5 cells a leaf, classes balanced",)),
    "random-forest": Family("random forest", ("500 trees, classes balanced in each",)),
    "mlp": Family("small neural network", (_STANDARD, "one hidden layer of 100, Adam, 200 passes at most")),
}
