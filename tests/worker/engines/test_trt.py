"""The import shim: 10.x, 11.x and RTX under one face, everything else refused in a sentence."""

import sys
from types import SimpleNamespace

import pytest

from worker.engines import trt
from worker.engines.face import EngineUnavailable


@pytest.fixture
def there(monkeypatch):
    """there(module, version): pretend that this TensorRT is installed, and no other."""
    for modules in trt._MODULES.values():
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)

    def put(module, version):
        fake = SimpleNamespace(__version__=version, __spec__=object())
        monkeypatch.setitem(sys.modules, module, fake)

    return put


@pytest.mark.parametrize(
    ("module", "version", "flavour"),
    [
        ("tensorrt", "10.16.1.11", "tensorrt"),
        ("tensorrt", "11.4.0", "tensorrt"),
        ("tensorrt_rtx", "1.7.1.116", "tensorrt_rtx"),
        ("tensorrt_rtx_bindings", "1.7.1.116", "tensorrt_rtx"),
    ],
)
def test_each_that_is_known_is_loaded(there, module, version, flavour):
    there(module, version)
    loaded = trt.load()
    assert (loaded.flavour, loaded.version) == (flavour, version)
    assert trt.installed()


@pytest.mark.parametrize(("module", "version"), [("tensorrt", "8.6.1"), ("tensorrt", "12.0"), ("tensorrt_rtx", "2.0")])
def test_a_version_that_is_not_known_is_refused(there, module, version):
    there(module, version)
    with pytest.raises(EngineUnavailable, match=f"^{module} {version} is unknown to this version$"):
        trt.load()


def test_none_at_all_is_one_sentence(there):
    with pytest.raises(EngineUnavailable, match=r"^TensorRT is not installed: pip install"):
        trt.load()
    with pytest.raises(EngineUnavailable, match=r"^TensorRT-RTX is not installed"):
        trt.load("tensorrt_rtx")
    assert not trt.installed()
