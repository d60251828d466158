"""What a wheel carries beside the code: an installation without a checkout has the bundle and the samples too."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShippedFolders(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the shipped folders where smear/shipped.py looks first; an editable install reads the checkout's own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; `version` is "standard" or "editable"."""
        if version == "standard":
            for name in ("models", "samples", "holdout", "core", "outside", "references"):
                build_data["force_include"][name] = f"smear/_shipped/{name}"
