"""The older families as scikit-learn pipelines over a picture's features."""

from collections.abc import Callable
from typing import Final

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier


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


#: A pipeline for a seed, by the names in `trainer.older.families`.
PIPELINES: Final[dict[str, Callable[[int], Pipeline]]] = {
    "svm": _svm,
    "knn": _knn,
    "lda": _lda,
    "naive-bayes": _naive_bayes,
    "tree": _tree,
    "random-forest": _forest,
    "mlp": _mlp,
}
