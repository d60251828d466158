"""The older families: scikit-learn pipelines over a picture's features, their settings fixed beforehand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier


@dataclass(frozen=True)
class Family:
    """`steps` says in words what `make(seed)` builds."""

    title: str
    steps: tuple[str, ...]
    make: Callable[[int], Pipeline]


def _svm(seed: int) -> Pipeline:
    return make_pipeline(StandardScaler(), SVC(C=10.0, gamma="scale", class_weight="balanced", random_state=seed))


def _knn(seed: int) -> Pipeline:
    del seed
    return make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=5, weights="distance"))


def _lda(seed: int) -> Pipeline:
    del seed
    return make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))


def _naive_bayes(seed: int) -> Pipeline:
    bend = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=seed)
    return make_pipeline(bend, GaussianNB())


def _tree(seed: int) -> Pipeline:
    return make_pipeline(DecisionTreeClassifier(min_samples_leaf=5, class_weight="balanced", random_state=seed))


def _forest(seed: int) -> Pipeline:
    forest = RandomForestClassifier(n_estimators=500, class_weight="balanced_subsample", n_jobs=1, random_state=seed)
    return make_pipeline(forest)


def _mlp(seed: int) -> Pipeline:
    network = MLPClassifier((100,), alpha=1e-3, max_iter=200, random_state=seed)
    return make_pipeline(StandardScaler(), network)


_STANDARD: Final = "each feature to mean 0 and deviation 1"
FAMILIES: Final[dict[str, Family]] = {
    "svm": Family("support vector machine", (_STANDARD, "radial basis, C 10, classes balanced"), _svm),
    "knn": Family("nearest neighbours", (_STANDARD, "5 neighbours, weighted by distance"), _knn),
    "lda": Family("linear discriminant analysis", (_STANDARD, "covariance shrunk after Ledoit and Wolf"), _lda),
    "naive-bayes": Family(
        "naive Bayes", ("each feature to a normal distribution by its ranks", "Gaussian"), _naive_bayes
    ),
    "tree": Family("decision tree", ("at least 5 cells a leaf, classes balanced",), _tree),
    "random-forest": Family("random forest", ("500 trees, classes balanced in each",), _forest),
    "mlp": Family("small neural network", (_STANDARD, "one hidden layer of 100, Adam, 200 passes at most"), _mlp),
}


def last(pipeline: Pipeline) -> Any:
    """The classifier at a pipeline's end."""
    return pipeline.steps[-1][1]
