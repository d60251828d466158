"""Every wrong variable is one sentence that names it; sources, sockets and defaults are as documented."""

import os
import stat
from pathlib import Path

import pytest

from smear.settings import MAX_SOCKET_PATH_BYTES, BadSettings, load_settings, private_folder


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WNET_LAYOUT", "heap"),
        ("WNET_LAYOUT", "flat:("),
        ("WNET_LAYOUT", "flat:(?P<slide>.+)"),
        ("WNET_LAYOUT", "ward=slides"),
        ("WNET_LAYOUT", "default=slides,default=flat"),
        ("WNET_GEOMETRY", "square"),
        ("WNET_GEOMETRY", "default=square"),
        ("WNET_PRIORITY", "urgent"),
        ("WNET_PRIORITY", "1.5"),
        ("WNET_PRIORITY", "1001"),
        ("WNET_PRIORITY", "nowhere=1"),
        ("WNET_OBSERVER", "spy"),
        ("WNET_FILE_SETTLE_SECONDS", "-1"),
        ("WNET_SETTLE_SECONDS", "soon"),
        ("WNET_SCAN_SECONDS", "0"),
        ("WNET_SCAN_SECONDS", "nan"),
        ("WNET_ENGINE", "abacus"),
        ("WNET_ENGINE_THREADS", "-1"),
        ("WNET_LEASE_SECONDS", "0"),
        ("WNET_STALL_SECONDS", "inf"),
        ("WNET_MAX_ATTEMPTS", "0"),
        ("WNET_QUEUE_WINDOW", "1.5"),
        ("WNET_MIN_CELLS", "0"),
        ("WNET_NOT_BLOOD", "("),
        ("WNET_LOG_LEVEL", "loud"),
        ("WNET_LOG_FORMAT", "xml"),
        ("WNET_DROP", "a=/x,a=/y"),
        ("WNET_DROP", "a=/x,b=/x"),
        ("WNET_DROP", "a=/x,b=/x/y"),
        ("WNET_DROP", "a="),
        ("WNET_DROP", "a=/x,b= "),
        ("WNET_DROP", "a" * 65 + "=/x"),
        ("WNET_DROP", "~nobody-of-this-name/x"),
        ("WNET_VAR", "~nobody-of-this-name/x"),
        ("WNET_VAR", "/x/what?/var"),
        ("WNET_LAYOUT", "flat:(?P<slide>a{99999999999999})(?P<cell>b)"),
        ("WNET_NOT_BLOOD", "a{99999999999999}"),
        ("WNET_NOT_BLOOD", "(" * 9999 + ")" * 9999),
        ("WNET_ENGINE_THREADS", "1" + "0" * 30),
        ("WNET_LEASE_SECONDS", "1e300"),
        ("WNET_QUEUE_WINDOW", "1" + "0" * 30),
        ("WNET_REOPEN_DAYS", "1000000"),
        ("WNET_REOPEN_DAYS", "inf"),
        ("WNET_SESSION_MINUTES", "1e300"),
        ("WNET_REVIEW_PROXY", "*"),
        ("WNET_REVIEW_PROXY", "nginx"),
        ("WNET_REVIEW_PROXY", "10.0.0.1/24"),
        ("WNET_REVIEW_PROXY", "127.0.0.1;10.0.0.1"),
        ("WNET_REVIEW_PROXY", "127.0.0.1:80"),
    ],
)
def test_a_wrong_variable_is_one_sentence_that_names_it(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as refused:
        load_settings()
    said = str(refused.value)
    assert said.startswith(f"{variable}: ")
    assert len(said.splitlines()) == 1
    assert "Value error" not in said


def test_several_wrong_variables_are_all_named(monkeypatch):
    monkeypatch.setenv("WNET_LAYOUT", "heap")
    monkeypatch.setenv("WNET_QUEUE_WINDOW", "0")
    with pytest.raises(BadSettings, match=r"^WNET_LAYOUT: .*; WNET_QUEUE_WINDOW: "):
        load_settings()


def test_the_defaults_are_the_documented_ones(tmp_path):
    settings = load_settings()
    assert settings.var == tmp_path / "var"
    assert settings.database == f"sqlite:///{tmp_path}/var/wnet.sqlite"
    assert settings.models_folder == tmp_path / "var" / "models"
    assert (settings.file_settle_seconds, settings.settle_seconds, settings.scan_seconds) == (2, 10, 60)
    assert (settings.lease_seconds, settings.min_cells, settings.low_count_cells) == (15, 50, 100)
    assert (settings.layout, settings.geometry, settings.observer, settings.engine) == (
        "slides",
        "di60",
        "auto",
        "auto",
    )
    (source,) = settings.sources
    assert (source.name, source.root, source.layout) == ("default", tmp_path / "var" / "drop", "slides")


def test_settings_are_read_from_a_file_and_a_variable_wins(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("WNET_SETTLE_SECONDS=3\nWNET_SCAN_SECONDS=7\nOTHER=1\n")
    monkeypatch.setenv("WNET_SCAN_SECONDS", "9")
    settings = load_settings()
    assert (settings.settle_seconds, settings.scan_seconds) == (3, 9)


def test_a_wrong_line_in_the_file_is_named_like_a_variable(tmp_path):
    (tmp_path / ".env").write_text("WNET_SCAN_SECONDS=often\n")
    with pytest.raises(BadSettings, match=r"^WNET_SCAN_SECONDS: "):
        load_settings()


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / ".env").write_bytes(b"WNET_DROP=/d\xe4ta\n")
    with pytest.raises(BadSettings, match=r"\.env"):
        load_settings()


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().layout = "classes"


# --- sources ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drop", "sources"),
    [
        ("/data", [("default", "/data")]),
        ("/with=sign", [("default", "/with=sign")]),
        ("/with,comma", [("default", "/with,comma")]),
        ("/a=b,/c=d", [("default", "/a=b,/c=d")]),
        ("ward=/w", [("ward", "/w")]),
        ("ward=/w, lab-2=/l/../m ", [("ward", "/w"), ("lab-2", "/m")]),
        ("a=/x,b=/xy", [("a", "/x"), ("b", "/xy")]),
    ],
)
def test_drop_folders_are_paths_or_named_paths(monkeypatch, drop, sources):
    monkeypatch.setenv("WNET_DROP", drop)
    assert [(s.name, str(s.root)) for s in load_settings().sources] == sources


@pytest.mark.parametrize(("proxy", "networks"), [
    ("", ()), (" , ", ()), ("127.0.0.1", ("127.0.0.1/32", "::ffff:127.0.0.1/128")), ("fd00::/8", ("fd00::/8",)),
    ("10.0.0.0/24, ::1", ("10.0.0.0/24", "::ffff:10.0.0.0/120", "::1/128")),
])  # fmt: skip
def test_proxies_are_addresses_or_networks_and_none_by_default(monkeypatch, proxy, networks):
    monkeypatch.setenv("WNET_REVIEW_PROXY", proxy)
    assert load_settings().proxies == networks


def test_a_relative_drop_folder_and_a_home_are_made_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/lab")
    monkeypatch.setenv("WNET_DROP", "near=incoming,far=~/drop")
    assert [s.root for s in load_settings().sources] == [tmp_path / "incoming", Path("/home/lab/drop")]


# --- files that hold secrets --------------------------------------------------------------------------------------


def test_files_named_like_variables_are_read_and_count_least(monkeypatch, tmp_path):
    (tmp_path / "wnet_database_url").write_text("postgresql+psycopg://wnet:secret@db/wnet\n")
    (tmp_path / "wnet_broker_url").write_text("redis://file/0\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("WNET_BROKER_URL", "redis://variable/0")
    settings = load_settings()
    assert settings.database == "postgresql+psycopg://wnet:secret@db/wnet"
    assert settings.broker == "redis://variable/0"


def test_a_wrong_value_in_a_file_is_named_without_the_value(monkeypatch, tmp_path):
    (tmp_path / "wnet_broker_url").write_text("http://:secret@host\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(BadSettings, match="WNET_BROKER_URL") as refused:
        load_settings()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_folder_of_secrets_that_is_none_is_refused(monkeypatch, tmp_path, kind):
    folder = tmp_path / "secrets"
    if kind == "file":
        folder.touch()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    with pytest.raises(BadSettings, match=r"CREDENTIALS_DIRECTORY: .* is not a folder"):
        load_settings()


def test_a_file_of_secrets_that_is_no_text_is_refused_in_words(monkeypatch, tmp_path):
    (tmp_path / "wnet_broker_url").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(BadSettings, match="not UTF-8"):
        load_settings()


# --- sockets ------------------------------------------------------------------------------------------------------


def test_sockets_lie_in_the_state_folder_where_its_path_leaves_room(monkeypatch, tmp_path):
    monkeypatch.setenv("WNET_VAR", "/v")
    assert load_settings().broker_socket == Path("/v/run/broker.sock")
    assert load_settings().broker == "redis+socket:///v/run/broker.sock"


@pytest.mark.parametrize("length", range(60, 120, 3))
def test_no_socket_path_is_too_long_for_the_kernel(monkeypatch, length):
    monkeypatch.setenv("WNET_VAR", "/" + "v" * length)
    folder = load_settings().socket_folder
    assert len(os.fsencode(folder / "supervisor.sock")) <= MAX_SOCKET_PATH_BYTES


def test_a_long_state_folder_moves_the_sockets_to_a_private_one_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    folders = []
    for name in ("a", "b"):
        monkeypatch.setenv("WNET_VAR", f"/{'long/' * 30}{name}")
        folders.append(private_folder(load_settings().socket_folder))
    assert len(set(folders)) == 2
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in folders)
    assert all(folder.parent == tmp_path for folder in folders)


def test_a_url_means_that_the_broker_is_elsewhere(monkeypatch):
    assert load_settings().embedded_broker
    monkeypatch.setenv("WNET_BROKER_URL", "redis://host/0")
    assert not load_settings().embedded_broker


@pytest.mark.parametrize("url", ["redis://u:Pa55#word@host/0", "redis://u:Pa55?word@host/0", "redis://host:Pa55"])
def test_a_broker_url_that_cannot_be_read_is_refused_without_its_password(monkeypatch, url):
    monkeypatch.setenv("WNET_BROKER_URL", url)
    with pytest.raises(BadSettings, match=r"^WNET_BROKER_URL: ") as refused:
        load_settings()
    assert "pa55" not in str(refused.value).lower()


def test_a_private_folder_stays_private(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    assert private_folder(folder) == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_what_stands_in_a_private_folders_place_is_refused(tmp_path, kind):
    folder = tmp_path / "run"
    if kind == "file":
        folder.touch()
    else:
        folder.symlink_to(tmp_path if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(BadSettings, match="is not a folder of ours"):
        private_folder(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder to somebody else")
def test_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 65534, 65534)
    with pytest.raises(BadSettings, match="is not a folder of ours"):
        private_folder(tmp_path / "run")


def test_each_source_has_its_own_layout_geometry_and_priority(monkeypatch):
    monkeypatch.setenv("WNET_DROP", "ward=/w,archive=/a,lab=/l")
    pattern = r"(?P<slide>\d{4,8}),(?P<cell>\d+)\.jpg"
    monkeypatch.setenv("WNET_LAYOUT", f"archive=dated, lab=flat:{pattern}")
    monkeypatch.setenv("WNET_GEOMETRY", "archive=whole")
    monkeypatch.setenv("WNET_PRIORITY", "archive=-10")
    settings = load_settings()
    assert [(s.name, s.layout, s.geometry, s.priority) for s in settings.sources] == [
        ("ward", "slides", "di60", 0), ("archive", "dated", "whole", -10), ("lab", f"flat:{pattern}", "di60", 0),
    ]  # fmt: skip
    assert (settings.layout_of_paths, settings.geometry_of_paths) == ("slides", "di60")


def test_one_layout_holds_for_all_sources_and_for_paths(monkeypatch):
    monkeypatch.setenv("WNET_DROP", "ward=/w,archive=/a")
    monkeypatch.setenv("WNET_LAYOUT", "classes")
    monkeypatch.setenv("WNET_PRIORITY", "-3")
    settings = load_settings()
    assert [(s.layout, s.priority) for s in settings.sources] == [("classes", -3)] * 2
    assert settings.layout_of_paths == "classes"


def test_a_time_zone_is_an_iana_name_or_is_refused():
    assert load_settings(timezone="Europe/Berlin").timezone == "Europe/Berlin"
    with pytest.raises(BadSettings, match=r"WNET_TIMEZONE: 'Berlin' is not an IANA time zone"):
        load_settings(timezone="Berlin")
