"""Streamlit's own files go out compressed; nothing else does because of it."""
import asyncio
import gzip

import pytest

from dashboard import compressed

FILE = max(compressed.files(), key=lambda one: compressed.files()[one].stat().st_size)


def ask(path, method="GET", encoding="gzip, br", **headers):
    """(status, headers, body) of one request, or None where the middleware leaves it to what lies behind."""
    sent, behind = [], []

    async def app(scope, receive, send):
        behind.append(scope["path"])

    async def send(message):
        sent.append(message)

    given = [(b"accept-encoding", encoding.encode())] + [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(compressed.Compressed(app)({"type": "http", "method": method, "path": path, "headers": given}, None, send))
    if behind:
        return None
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}, b"".join(one.get("body", b"") for one in sent[1:])


def test_a_script_arrives_whole_in_a_third_of_its_bytes_and_stays_for_a_year():
    status, headers, body = ask(FILE)
    plain = compressed.files()[FILE].read_bytes()
    assert status == 200 and gzip.decompress(body) == plain and len(body) < len(plain) / 2.5
    assert headers["content-encoding"] == "gzip" and headers["vary"] == "accept-encoding" and "immutable" in headers["cache-control"]
    assert headers["content-type"].startswith("text/javascript") and int(headers["content-length"]) == len(body)


def test_it_is_compressed_once():
    compressed.small.cache_clear()
    for _ in range(3):
        ask(FILE)
    assert compressed.small.cache_info().misses == 1


@pytest.mark.parametrize("path", ["/", "/review", "/sign-in", "/_stcore/stream", "/media/abc.csv", "/static/../config.toml", "/static/js/../../index.html", "/static/js/none.abc.js"])
def test_what_is_not_one_of_these_files_is_left_alone(path):
    assert ask(path) is None


def test_a_part_a_head_or_a_browser_without_gzip_gets_what_it_asked_for():
    assert ask(FILE, range="bytes=0-9") is None and ask(FILE, "HEAD") is None and ask(FILE, encoding="br") is None


def test_only_files_whose_names_change_with_their_content_are_kept_for_a_year():
    assert compressed.files() and all(one.split("/")[-1].count(".") > 1 for one in compressed.files()) and not any(one.endswith(".html") for one in compressed.files())


def test_the_lifespan_passes_through():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])
    asyncio.run(compressed.Compressed(app)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
