"""A browser without a window, for the tests of what the page answers."""

import re
from typing import Any

from seeding import PASSWORD
from starlette.testclient import TestClient

from review.throttle import Limits, Rate


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

    def write(self, url: str, json: Any = None, data: Any = None) -> Any:
        return self.post(url, json=json, data=data, headers={"x-csrf-token": self.csrf}, follow_redirects=False)

    def label(
        self, slide: int, cells: list[int], label: str | None, version: int, kind: str | None = None, revision: int = 1
    ) -> Any:
        told = {"cells": cells, "label": label, "kind": kind, "revision": revision, "version": version}
        return self.write(f"/slides/{slide}/labels", json=told)
