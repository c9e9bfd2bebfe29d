"""The environment is read once, and a bad value is refused with a sentence that names the variable."""

from pathlib import Path

import pytest

from dashboard.settings import REPOSITORY, SettingsError, only_here, settings

NAMES = ("DATABASE_URL", "DASHBOARD_DATA", "DASHBOARD_PORT", "DASHBOARD_ADDRESS", "DASHBOARD_ZONE", "DASHBOARD_PACK",
         "DASHBOARD_LANGUAGE", "DASHBOARD_FOLLOW", "DASHBOARD_PROXIES", "DATABASE_READ_URL")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_without_an_environment_it_listens_on_this_machine_only():
    s = settings()
    assert (s.database_url, s.data, s.port, s.address) == (None, REPOSITORY / ".data", 8501, "127.0.0.1")
    assert (s.zone, s.pack, s.language) == ("Asia/Shanghai", "bank", "")


def test_it_is_read_once(monkeypatch):
    first = settings()
    monkeypatch.setenv("DASHBOARD_PORT", "9000")
    assert settings() is first


def test_an_empty_value_is_the_default(monkeypatch):
    monkeypatch.setenv("DASHBOARD_PORT", "")
    assert settings().port == 8501


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_spelling_of_postgresql_goes_to_psycopg2(monkeypatch, scheme):
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://u:p@db:5432/desk?sslmode=require")
    assert settings().database_url == "postgresql+psycopg2://u:p@db:5432/desk?sslmode=require"


def test_the_data_folder_is_absolute_and_knows_home(monkeypatch):
    monkeypatch.setenv("DASHBOARD_DATA", "~/desk")
    assert settings().data == Path.home() / "desk"


@pytest.mark.parametrize("name, value", [
    ("DASHBOARD_PORT", "http"), ("DASHBOARD_PORT", "0"), ("DASHBOARD_PORT", "65536"), ("DASHBOARD_PORT", "８５０１"),
    ("DASHBOARD_ADDRESS", "0.0.0.0 8501"),
    ("DASHBOARD_ZONE", "Beijing"), ("DASHBOARD_ZONE", "../etc/passwd"), ("DASHBOARD_ZONE", "Asia"),
    ("DASHBOARD_PACK", "../bank"),
    ("DASHBOARD_LANGUAGE", "fr"), ("DASHBOARD_FOLLOW", "soon"), ("DASHBOARD_FOLLOW", "0.5"), ("DASHBOARD_FOLLOW", "-1"),
    ("DASHBOARD_PROXIES", "nginx"), ("DASHBOARD_PROXIES", "10.0.0.0/40"), ("DATABASE_READ_URL", "mysql://db/desk"), ("DATABASE_READ_URL", "postgresql://u:p@db/desk"),
    ("DATABASE_URL", "mysql://u:p@db/desk"), ("DATABASE_URL", "desk"), ("DATABASE_URL", "postgresql://"),
])
def test_a_bad_value_is_refused_by_name(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name} must .*[.]$"):
        settings()


def test_a_refused_address_does_not_repeat_its_password(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://u:geheim@db/desk")
    with pytest.raises(SettingsError) as refused:
        settings()
    assert "geheim" not in str(refused.value)


def test_proxies_and_standbys_are_places(monkeypatch):
    assert (settings().proxies, settings().standbys) == (("127.0.0.1", "::1"), ())
    settings.cache_clear()
    monkeypatch.setenv("DASHBOARD_PROXIES", "10.0.0.5 10.1.0.0/16 fd00::1")
    monkeypatch.setenv("DATABASE_READ_URL", "postgresql+psycopg2://one:5433,two:5434/desk")
    assert settings().proxies == ("10.0.0.5", "10.1.0.0/16", "fd00::1")
    assert [(one["host"], one["port"], one["database"]) for one in settings().standbys] == [("one", 5433, "desk"), ("two", 5434, "desk")]


@pytest.mark.parametrize("address, hosts, here", [("127.0.0.1", ("127.0.0.1", "localhost", "[::1]"), True), ("127.0.0.1", ("localhost", "desk.example"), False),
                                                  ("::1", ("[::1]",), True), ("0.0.0.0", ("127.0.0.1",), False), ("10.0.0.1", ("10.0.0.1",), False)])
def test_a_demo_can_be_asked_by_this_machine_alone(address, hosts, here):
    """A proxy on this machine serves what listens on loopback to everybody: the names say so."""
    assert only_here(address, hosts) is here
