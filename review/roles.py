"""Who may do what: four roles, and the acts that each allows. Asked on the server before every act."""

from typing import Final, Literal, get_args

from smear.review_tables import Role


Act = Literal["view", "label", "comment", "sign", "retry", "reference", "audit", "users", "purge", "promote"]

ROLES: Final[tuple[str, ...]] = get_args(Role)

#: Administrators look after accounts, not after results: who changes or signs results is a technologist or reviewer.
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "viewer": frozenset({"view"}),
    "technologist": frozenset({"view", "label", "comment", "sign", "retry"}),
    "reviewer": frozenset({"view", "label", "comment", "sign", "retry", "reference", "audit"}),
    "administrator": frozenset({"view", "retry", "audit", "users", "purge", "promote"}),
}

#: For the page of users.
EXPLAINED: Final[dict[str, str]] = {
    "viewer": "looks at everything, changes nothing",
    "technologist": "reviews cells, comments, signs, amends",
    "reviewer": "as a technologist; also marks reference cells and reads the audit",
    "administrator": "looks after users and models, reads the audit; changes no result",
}


def allows(role: str, act: Act) -> bool:
    """Whether a role allows an act; an unknown role allows nothing."""
    return act in ALLOWED.get(role, frozenset())
