"""What deploy/ names exists: commands, settings, files; and every unit is closed in."""
import re
import shutil
import subprocess

import pytest

from tests.deploy.conftest import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


def test_every_command_and_setting_exists():
    known = set(re.findall(r'add\("([a-z]+)"', (ROOT / "dashboard" / "__main__.py").read_text("utf-8")))
    settings = (ROOT / "dashboard" / "settings.py").read_text("utf-8") + "DESK_APP_URL"
    said = "\n".join(file.read_text("utf-8") for file in DEPLOY.iterdir())
    commands = set(re.findall(r"python -m dashboard ([a-z]+)", said))
    assert len(commands) >= 6 and commands <= known
    for name in set(re.findall(r"\b(?:DATABASE|DASHBOARD)_[A-Z_]+\b", said)):
        assert name in settings, name


def test_every_file_is_explained_and_every_link_leads_somewhere():
    readme = (DEPLOY / "README.md").read_text("utf-8")
    assert {file.name for file in DEPLOY.iterdir()} - {"README.md"} == set(re.findall(r"\]\(([\w@.-]+)\)", readme))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_closed_in(unit):
    lines = set(unit.read_text("utf-8").splitlines())
    assert {"User=desk", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "CapabilityBoundingSet=", "RestrictNamespaces=yes",
            "LockPersonality=yes", "UMask=0077", "SystemCallFilter=@system-service"} <= lines
    if unit.name == "desk@.service":
        assert "admin.env" not in unit.read_text("utf-8"), "a process knows no administrator"
    if shutil.which("systemd-analyze"):
        said = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True).stderr
        wrong = [line for line in said.splitlines() if re.search(r"Unknown|Failed to parse|Invalid|ignoring", line)]
        assert wrong == []
