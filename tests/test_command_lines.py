"""The four command lines: one style of help, a version, `-h`, completion in the shell."""

import importlib
from importlib.metadata import version

import pytest
from typer.main import get_command
from typer.testing import CliRunner


PROGRAMS = {"worker": "worker", "trainer": "trainer", "engine-build": "engine_build", "review": "review"}


def app_of(program):
    return importlib.import_module(f"{PROGRAMS[program]}.cli").app


def commands(program):
    """Every command with the words that call it."""
    found = []

    def walk(command, words):
        found.append((words, command))
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*words, name])

    walk(get_command(app_of(program)), [])
    return found


def run(program, *words, **variables):
    return CliRunner().invoke(app_of(program), list(words), prog_name=program, env=variables)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_and_every_option_is_described(program):
    bare = []
    for words, command in commands(program):
        bare += [] if command.help else [" ".join([program, *words])]
        bare += [f"{' '.join([program, *words])}: {p.name}" for p in command.params if not getattr(p, "help", None)]
    assert bare == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_says_what_it_does_in_a_sentence_that_begins_with_a_verb(program):
    nouns = {"a", "an", "the", "what", "which", "every", "each", "all", "these", "this", "two", "old", "is", "how"}
    first = {" ".join([program, *words]): command.help.split()[0].lower() for words, command in commands(program)}
    assert {words for words, word in first.items() if word in nouns or word.endswith("s")} == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_version_is_the_packages(program):
    done = run(program, "--version")
    assert (done.exit_code, done.stdout) == (0, f"wnet-worker {version('wnet-worker')}\n")


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_takes_the_short_option_for_help(program, monkeypatch):
    # Read once by typer, perhaps by an earlier test.
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 200)
    for words, command in commands(program):
        done = run(program, *words, "-h")
        assert done.exit_code == 0, words
        assert command.help.split("\n")[0] in done.stdout


@pytest.mark.parametrize(("begun", "offered"), [
    ("worker resu", "results"), ("worker models pro", "promote"), ("worker results --sin", "--since"),
    ("trainer eva", "evaluate"), ("engine-build ver", "verify"), ("review ser", "serve"),
])  # fmt: skip
def test_the_shell_completes_commands_and_options(begun, offered):
    program = begun.split()[0]
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    given = {variable: "complete_bash", "COMP_WORDS": begun, "COMP_CWORD": str(len(begun.split()) - 1)}
    done = run(program, **given)
    assert (done.exit_code, done.stdout.split()) == (0, [offered])


def test_the_workers_commands_stand_in_groups():
    shown = run("worker", "--help", TERMINAL_WIDTH="100").stdout
    groups = [shown.index(f"─ {name} ") for name in ("Results", "Service", "Maintenance")]
    at = {name: shown.index(f"│ {name} ") for name in ("results", "classify", "status", "doctor", "purge", "models")}
    assert groups == sorted(groups)
    assert groups[0] < min(at["results"], at["classify"])
    assert groups[1] < min(at["status"], at["doctor"]) < groups[2] < min(at["purge"], at["models"])
    assert max(at["results"], at["classify"]) < groups[1]
    assert "─ Commands " not in shown


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_names_the_option_that_installs_completion(program):
    assert "--install-completion" in run(program, "--help").stdout
