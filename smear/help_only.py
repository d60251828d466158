"""A command's help where its optional packages are missing.

A command line is defined by modules that import those packages. To show its help, stand-ins take their places while the
modules are read; anything but help and version is refused in one sentence before a stand-in could be used.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from smear import extras
from smear.extras import Extra


WRONG_CALL: Final = 2
#: What shows help on any command, and what the program itself shows where it comes first: neither runs a command.
_HELP: Final = frozenset({"--help", "-h"})
_SHOWS: Final = frozenset({"--version", "--show-completion", "--install-completion"})


def require(program: str, extra: Extra, modules: Sequence[str] | None = None) -> None:
    """Return where the packages are there, or only help is asked for; else exit with one sentence and code 2.

    `modules` are what the program cannot start without; all of the set by default.
    """
    lacking = [name for name in extras.missing(extra) if modules is None or name in modules]
    if not lacking:
        return
    if not _asks_for_help(sys.argv[1:]):
        sentence = f"{program}: packages are missing ({', '.join(lacking)}); install them: {extras.install_line(extra)}"
        print(sentence, file=sys.stderr)  # noqa: T201 - the one sentence
        sys.exit(WRONG_CALL)
    sys.meta_path.insert(0, _StandInFinder(lacking))


def _asks_for_help(arguments: Sequence[str]) -> bool:
    return not arguments or arguments[0] in _SHOWS or not _HELP.isdisjoint(arguments)


class _StandIn:
    """Whatever a definition may do with a name of a missing package: subclass, decorate, annotate, call."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, name: str) -> "_StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn()

    def __call__(self, *given: Any, **_: Any) -> Any:
        decorates = len(given) == 1 and callable(given[0]) and not isinstance(given[0], _StandIn)
        return given[0] if decorates else _StandIn()

    def __mro_entries__(self, _: Any) -> tuple[type, ...]:
        return (object,)

    def __getitem__(self, _: Any) -> "_StandIn":
        return _StandIn()

    def __or__(self, _: Any) -> "_StandIn":
        return _StandIn()

    __ror__ = __or__


class _StandInModule(ModuleType):
    __path__: list[str] = []  # noqa: RUF012 - as of a package, so that its submodules are asked for here too

    def __getattr__(self, name: str) -> _StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn()


class _StandInFinder(MetaPathFinder, Loader):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002 - the face of a finder
        if fullname.partition(".")[0] not in self._names:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""
