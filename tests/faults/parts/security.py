"""Forged messages, doors that should be shut, and what the logs must not tell."""

import base64
import json
import pickle
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from faults.ground_truth import PROJECT
from faults.part import Part
from faults.scene import Scene
from flow.service import COMMANDS


#: Words that stand in a slide's name, in its sidecar, in the settings; none may be in any log.
BARCODE, ORDER, SPECIMEN, PASSWORD = "BARCODE4711", "ORDER-0815-XY", "SPECIMEN-2342", "s3cret-Pa55word"


class _Opens:
    """Unpickled, this writes a file."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self._path, "w"))


def _message(body: bytes, content_type: str, encoding: str, task: str) -> str:
    """As kombu lays a message into the server's list."""
    tag = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": encoding,
            "content-type": content_type,
            "headers": {"lang": "py", "task": task, "id": tag, "root_id": tag, "argsrepr": "()", "kwargsrepr": "{}"},
            "properties": {
                "correlation_id": tag, "reply_to": "", "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "slides"}, "delivery_tag": tag,
            },
        }
    )  # fmt: skip


def forged(pwned: Path) -> dict[str, str]:
    """Messages that nobody of ours has sent, by what is wrong with them."""
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}

    def ours(arguments: Any, task: str = "worker.classify") -> str:
        return _message(json.dumps([arguments, {}, embed]).encode(), "application/json", "utf-8", task)

    evil = pickle.dumps([[_Opens(pwned)], {}, embed])
    return {
        "a pickle": _message(evil, "application/x-python-serialize", "binary", "worker.classify"),
        "a pickle that says it is JSON": _message(evil, "application/json", "binary", "worker.classify"),
        "a task nobody knows": ours([1], "os.system"),
        "a name for a number": ours(["../../etc/passwd"]),
        "a number of no revision": ours([-1]),
        "a number beyond every database": ours([10**30]),
        "too many arguments": ours([1, 2, 3]),
        "no arguments": ours([]),
        "arguments within arguments": ours([[[[1]]]]),
    }


def _security(scene: Scene) -> None:
    service = scene.service()
    port = urlsplit(service.page()).port
    doors = service.doors()
    assert list(doors) == [("127.0.0.1", port)], f"a door to the network is open: {doors}"
    assert COMMANDS["page"] in doors["127.0.0.1", port], f"another than the page listens: {doors}"

    pwned = scene.folder / "pwned"
    with service.broker() as broker:
        for message in forged(pwned).values():
            broker.lpush("wnet:slides", message)
            scene.inject("forged messages")
    (name,) = scene.names(1)
    named = f"{scene.prefix}{BARCODE}"
    scene.truth[named] = scene.truth.pop(name)
    scene.truth[named].told["slide_id"] = named
    with scene.laying_down(named) as folder:
        shutil.copytree(scene.source_of(name), folder, dirs_exist_ok=True)
        (folder / "slide.json").write_text(json.dumps({"order_id": ORDER, "specimen": SPECIMEN}), encoding="utf-8")
        (folder / f"{BARCODE}-broken.jpg").write_bytes(b"no picture")
    scene.finish(90)
    assert not pwned.exists(), "a forged pickle was opened"
    # What is said of the broken file is part of the truth here.
    scene.settle_truth({named: 1})

    refused = _asked_with_a_password(scene)
    logs = {"what it said": service.said(), "what the commands said": refused}
    logs |= {log.name: log.read_text(errors="replace") for log in (service.var / "logs").iterdir()}
    for where, text in logs.items():
        told = [word for word in (BARCODE, ORDER, SPECIMEN, PASSWORD) if word in text]
        assert not told, f"{where} tells {told}"


def _asked_with_a_password(scene: Scene) -> str:
    """What `worker status` and `worker doctor` say of servers that do not answer, whose URLs carry a password."""
    assert scene.started is not None
    environment = scene.started.environment | {
        "WNET_BROKER_URL": f"redis://:{PASSWORD}@127.0.0.1:1/0",
        "WNET_DATABASE_URL": f"postgresql+psycopg://wnet:{PASSWORD}@127.0.0.1:1/wnet",
    }
    said = ""
    for command in ("status", "doctor"):
        done = subprocess.run(
            [sys.executable, "-c", "from worker.cli import main; main()", command],
            cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode in {1, 2}, done.stderr
        assert "Traceback" not in done.stderr
        said += done.stdout + done.stderr
    return said


PARTS: Final = (
    Part("security", "forged messages, open doors, talkative logs", _security, full={"times": 1}, short={"times": 1}),
)
