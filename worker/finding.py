"""What `worker doctor` found: the noun that it makes and that tables show."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `cure` says what to do; empty where all is well."""

    name: str
    verdict: Literal["good", "mind", "bad"]
    found: str
    cure: str = ""

    def to_object(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)
