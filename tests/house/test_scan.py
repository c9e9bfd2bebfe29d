"""The scanners find what is planted, and say what they could not ask."""
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests import scan
from tests.browser.conftest import free_port


@contextmanager
def osv(answer: dict):
    """A service of advisories on this machine that answers everything with this."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def required(tmp_path):
    (tmp_path / "requirements.txt").write_text("requests==2.34.2\n", "utf-8")
    return tmp_path / "requirements.txt"


def test_a_planted_finding_of_high_severity_is_found_and_the_code_has_none(tmp_path):
    (tmp_path / "planted.py").write_text('import subprocess\nsubprocess.call("ls " + input(), shell=True)\n', "utf-8")
    assert scan.code([tmp_path])
    assert not scan.code([scan.ROOT / name for name in scan.CODE])


def test_an_advisory_fails_and_none_is_said_to_be_none(required):
    one = {"id": "GHSA-0000", "modified": "2026-01-01T00:00:00Z", "summary": "planted", "aliases": ["CVE-2026-0000"],
           "affected": [{"package": {"name": "requests", "ecosystem": "PyPI"}, "versions": ["2.34.2"],
                         "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.99"}]}]}]}
    with osv({"vulns": [one]}) as url:
        known, said = scan.advisories(required, "--vulnerability-service", "osv", "--osv-url", url)
    assert len(known) == 1 and "requests 2.34.2" in said and "2026-0000" in said and "2.99" in said
    with osv({}) as url:
        assert scan.advisories(required, "--vulnerability-service", "osv", "--osv-url", url) == ([], "pip-audit: 1 packages asked for, 0 advisories")


def test_what_could_not_be_asked_is_said(required):
    known, said = scan.advisories(required, "--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{free_port()}/")
    assert known == [] and said.startswith("pip-audit: COULD NOT ASK for advisories (") and said.endswith("no package was audited")


def test_either_finding_fails_the_scan(monkeypatch, capsys):
    for found, known, ends in ((False, [], 0), (True, [], 1), (False, ["x 1: GHSA"], 1)):
        monkeypatch.setattr(scan, "code", lambda folders: found)
        monkeypatch.setattr(scan, "advisories", lambda requirements: (known, "said"))
        assert scan.main() == ends and "said" in capsys.readouterr().out
