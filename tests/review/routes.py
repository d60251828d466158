"""Every route of the page, its path filled in, and what each write takes."""

import re


IDENTITY = "0" * 32
BODIES = {
    "/slides/{slide}/labels": {"cells": [1], "label": "basophil", "revision": 1, "version": 0, "identity": IDENTITY},
    "/slides/{slide}/undo": {"revision": 1, "version": 0, "identity": IDENTITY},
    "/slides/{slide}/redo": {"revision": 1, "version": 0, "identity": IDENTITY},
    "/slides/{slide}/sign": {"revision": 1, "version": 99, "identity": IDENTITY},
    "/slides/{slide}/hold": {"identity": IDENTITY},
    "/slides/{slide}/amend": {"reason": "because it is", "identity": IDENTITY},
    "/cells/{cell}/reference": {"wanted": True, "identity": IDENTITY},
}


def every_route(app):
    told = app.openapi()["paths"]
    return [(path, method.upper()) for path, methods in told.items() for method in methods]


def filled(path):
    return re.sub(r"\{digest\}", "0" * 64, re.sub(r"\{(slide|cell|user|number)\}", "1", path))
