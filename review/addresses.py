"""Addresses of pictures, as every list and page but the slide's own writes them."""


def cell_picture(sha256: str, cell: int) -> str:
    """Where the kept picture of a cell is asked for: by its content (SHA-256) and its row number."""
    del cell
    return f"/pictures/{sha256}"
