"""What a wheel carries beside the code: an installation without a checkout has the bundle and the samples too."""

import ast
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def shipped_folders(root: Path) -> list[str]:
    """The names in `ShippedFolder` of smear/shipped.py, the one list of them; read, since a build has no packages."""
    tree = ast.parse((root / "smear" / "shipped.py").read_text(encoding="utf-8"))
    (names,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ShippedFolder"
    )
    assert isinstance(names, ast.Subscript)
    return list(ast.literal_eval(names.slice))


class ShippedFolders(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the shipped folders where smear/shipped.py looks first; an editable install reads the checkout's own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; `version` is "standard" or "editable"."""
        if version == "standard":
            for name in shipped_folders(Path(self.root)):
                build_data["force_include"][name] = f"smear/_shipped/{name}"
