"""What a log line says, and what it must not."""

import logging

import pytest
import structlog

from smear.logs import set_up_logging


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_an_exception_is_its_type_and_lines_but_never_its_text(capsys, log_format):
    set_up_logging("info", log_format)
    try:
        try:
            raise FileNotFoundError(2, "No such file", "BARCODE-4711")
        except OSError as error:
            raise ValueError("BARCODE-4711") from error
    except ValueError:
        structlog.get_logger().exception("a step failed", revision=7)
        logging.getLogger("worker.other").exception("another failed")
    said = capsys.readouterr().err
    assert "4711" not in said
    assert said.count("ValueError < ") == said.count("from FileNotFoundError < ") == 2
    assert "test_logs.py:" in said
    assert "revision" in said


def test_below_the_level_nothing_is_said(capsys):
    set_up_logging("warning", "logfmt")
    structlog.get_logger().info("arriving", revision=7)
    structlog.get_logger().warning("claim taken back", revision=7)
    assert capsys.readouterr().err.count("\n") == 1
