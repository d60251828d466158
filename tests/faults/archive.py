"""An archive of slides that were finished long ago: folders of small files, and rows that say they are done."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import insert
from sqlmodel import select

from smear.files import Stat
from smear.store import Store
from smear.tables import PictureRow, RevisionRow, SlideRow, SourceRow, utc_now


FILES: Final = 10
#: Folders laid down and written to the database together.
TOGETHER: Final = 2000


def lay_down_archive(root: Path, store: Store, folders: int) -> None:
    """So many finished slides of FILES files each, whose rows agree with what lies there.

    What is in the files does not matter: a watcher that opens one finds that nothing is known of it.
    """
    now = utc_now() - timedelta(days=1)
    with store.read() as session:
        source = session.exec(select(SourceRow.id)).one()
    for start in range(0, folders, TOGETHER):
        slides, revisions, pictures = [], [], []
        for n in range(start, min(start + TOGETHER, folders)):
            name, number = f"old-{n:06d}", n + 1
            (root / name).mkdir()
            for f in range(FILES):
                os.close(os.open(root / name / f"cell_{f:02d}.jpg", os.O_CREAT | os.O_WRONLY))
            signature = str((root / name).stat().st_mtime_ns)
            slides.append({"id": number, "source_id": source, "slide_id": name, "folder": name, "first_seen_at": now})
            revisions.append(
                {
                    "id": number, "slide": number, "number": 1, "state": "classified", "signature": signature,
                    "arrived_at": now, "settled_at": now, "published_at": now, "finished_at": now,
                    "attempts": 1, "token": 1, "beat": 0,
                }
            )  # fmt: skip
            with os.scandir(root / name) as entries:
                for entry in entries:
                    found = Stat.of(entry.stat())
                    pictures.append(
                        {
                            "revision": number, "path": entry.name, "size": found.size, "mtime_ns": found.mtime_ns,
                            "ctime_ns": found.ctime_ns, "inode": str(found.inode), "problem": "empty file",
                        }
                    )  # fmt: skip
        with store.write() as session:
            session.execute(insert(SlideRow), slides)
            session.execute(insert(RevisionRow), revisions)
            session.execute(insert(PictureRow), pictures)
