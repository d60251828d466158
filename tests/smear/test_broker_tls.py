from pathlib import Path

import pytest

from smear.broker_tls import tls_options
from smear.celery_settings import celery_settings
from smear.settings import BadSettings, load_settings


CA = Path("/etc/ssl/own.pem")
CHECKED = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


@pytest.mark.parametrize("url", ["redis://host/0", "redis+socket:///run/broker.sock"])
def test_without_tls_there_are_no_options(url):
    assert tls_options(url, CA) == (url, None)


@pytest.mark.parametrize(
    ("url", "ca", "options"),
    [
        ("rediss://:pw@host/0", None, CHECKED),
        ("rediss://:pw@host/0", CA, CHECKED | {"ssl_ca_certs": str(CA)}),
        ("rediss://:pw@host/0?ssl_ca_certs=/other.pem", CA, CHECKED | {"ssl_ca_certs": "/other.pem"}),
        ("rediss://:pw@host/0?ssl_cert_reqs=none", None, {"ssl_cert_reqs": "none", "ssl_check_hostname": False}),
        ("rediss://:pw@host/0?ssl_cert_reqs=CERT_REQUIRED", None, CHECKED),
        ("rediss://:pw@host/0?ssl_check_hostname=false", None, CHECKED | {"ssl_check_hostname": False}),
    ],
)
def test_a_certificate_is_checked_unless_the_address_says_no(url, ca, options):
    assert tls_options(url, ca) == ("rediss://:pw@host/0", options)


def test_other_options_of_the_address_stay():
    assert tls_options("rediss://host/0?ssl_cert_reqs=none&client_name=w", None)[0] == "rediss://host/0?client_name=w"


@pytest.mark.parametrize("option", ["ssl_cert_reqs=maybe", "ssl_certs=/x"])
def test_an_option_that_is_none_is_refused(monkeypatch, option):
    monkeypatch.setenv("WNET_BROKER_URL", f"rediss://:Pa55@host/0?{option}")
    with pytest.raises(BadSettings, match=r"WNET_BROKER_URL: .*ssl_cert") as refused:
        load_settings()
    assert "Pa55" not in str(refused.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates_is_refused(monkeypatch, tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("WNET_BROKER_CA", str(tmp_path / "ca.pem"))
    with pytest.raises(BadSettings, match=r"WNET_BROKER_CA: .*ca\.pem cannot be read as certificates"):
        load_settings()


def test_every_room_connects_with_the_check(make_settings):
    told = celery_settings(make_settings(broker_url="rediss://host/0"))
    assert (told["broker_url"], told["broker_use_ssl"]) == ("rediss://host/0", CHECKED)
