"""Every route of the page, its path filled in, and what each write takes."""

import re


BODIES = {
    "/slides/{slide}/labels": {"cells": [1], "label": "basophil", "revision": 1, "version": 0},
    "/slides/{slide}/undo": {"revision": 1, "version": 0},
    "/slides/{slide}/redo": {"revision": 1, "version": 0},
    "/slides/{slide}/sign": {"revision": 1, "version": 99},
    "/slides/{slide}/amend": {"reason": "because it is"},
    "/cells/{cell}/reference": {"wanted": True},
}


def every_route(app):
    told = app.openapi()["paths"]
    return [(path, method.upper()) for path, methods in told.items() for method in methods]


def filled(path):
    return re.sub(r"\{label\}", "neutrophil", re.sub(r"\{(slide|cell|user|number)\}", "1", path))
