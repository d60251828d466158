"""A browser without a window, for the tests of what the page answers."""

import re
from typing import Any

from seeding import PASSWORD
from sqlmodel import select
from starlette.testclient import TestClient

from review.throttle import Limits, Rate
from smear.promotion import to_undo
from smear.tables import CellRow, RevisionRow


#: Tests click faster than people.
LOOSE = Limits(writes=Rate(100_000, 1))


class Client(TestClient):
    """A browser without a window: signs in as somebody, sends the token with what it writes."""

    csrf = ""

    def form_token(self, url: str = "/sign-in") -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get(url).text)
        assert found is not None
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD) -> Any:
        told = {"name": name, "password": password, "csrf": self.form_token()}
        answer = self.post("/sign-in", data=told, follow_redirects=False)
        if answer.status_code == 303:
            page = self.get(answer.headers["location"], headers={"accept": "text/html"})
            self.csrf = re.search(r'<meta name="csrf" content="([0-9a-f]*)">', page.text)[1]  # type: ignore[index]
        return answer

    def identity(self, url: str) -> str:
        """What a page that is opened now would name the latest revision of this slide, or this cell's slide, by."""
        what, number = re.match(r"/(slides|cells)/(\d+)/", url).groups()  # type: ignore[union-attr]
        slide = int(number)
        with self.app.state.desk.store.read() as session:  # type: ignore[attr-defined]
            if what == "cells":
                slide = session.exec(select(CellRow.slide).where(CellRow.id == slide)).one_or_none() or 0
            query = select(RevisionRow.identity).where(RevisionRow.slide == slide).order_by(RevisionRow.number.desc())
            return session.exec(query).first() or "0" * 32

    def write(self, url: str, json: Any = None, data: Any = None) -> Any:
        """As a page that was opened a moment ago would: with its token, and the identity of what it shows."""
        if re.match(r"/slides/\d+/retry$", url):
            url += f"?identity={self.identity(url)}"
        elif re.match(r"/slides/\d+/comments$", url):
            data = {"identity": self.identity(url)} | (data or {})
        elif url == "/models/rollback":
            with self.app.state.desk.store.read() as session:  # type: ignore[attr-defined]
                last = to_undo(session)
            data = {"promotion": 0 if last is None else last.id} | (data or {})
        elif re.match(r"/(slides/\d+/(labels|undo|redo|hold|sign|amend)|cells/\d+/reference)$", url):
            json = {"identity": self.identity(url)} | (json or {})
        return self.post(url, json=json, data=data, headers={"x-csrf-token": self.csrf}, follow_redirects=False)

    def label(
        self, slide: int, cells: list[int], label: str | None, version: int, kind: str | None = None, revision: int = 1
    ) -> Any:
        told = {"cells": cells, "label": label, "kind": kind, "revision": revision, "version": version}
        return self.write(f"/slides/{slide}/labels", json=told)
