import pytest

from smear.cells import CELL_TYPES, cell_type_of


@pytest.mark.parametrize(
    ("name", "cell_type"),
    [
        ("neutrophil", "neutrophil"), ("Neutrophil ", "neutrophil"), ("SNE", "neutrophil"), ("bne", "neutrophil"),
        ("NGS", "neutrophil"), ("NGB", "neutrophil"), ("EO", "eosinophil"), ("EOS", "eosinophil"),
        ("BA", "basophil"), ("BAS", "basophil"), ("LYT", "lymphocyte"), ("LY", "lymphocyte"), ("MO", "monocyte"),
        ("MON", "monocyte"),
    ],
)  # fmt: skip
def test_class_names_of_analysers_and_data_sets_are_known(name, cell_type):
    assert cell_type_of(name) == cell_type


@pytest.mark.parametrize("name", ["MMY", "MY", "PMY", "blast", "ERB", "EBO", "KSC", "PLATELET", "", "neutro"])
def test_other_names_lie_outside_the_five(name):
    assert cell_type_of(name) is None


def test_the_order_of_the_five_is_fixed():
    assert CELL_TYPES == ("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte")
