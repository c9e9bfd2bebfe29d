"""The code holds its own rules: which way imports point, what is banned, what the README must say."""
import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(p for folder in ("dashboard", "pages", "queries") for p in (ROOT / folder).rglob("*.py"))
MAY_IMPORT = {"pages": {"dashboard", "queries"}, "dashboard": {"dashboard", "queries"}, "queries": {"queries"}}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    here = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        top = module.split(".")[0]
        assert top not in ("pages", "dashboard", "queries") or top in MAY_IMPORT[here], module
        assert not (here == "queries" and top == "streamlit"), "queries/ imports no Streamlit"
        assert not (here == "pages" and top in ("sqlalchemy", "psycopg2")), "a page names a query, it does not run it"
        assert module != "plotly.express", "charts are plain dicts"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_banned(path):
    code = path.read_text("utf-8")
    assert "unsafe_allow_html" not in code and "st.html(" not in code, "complaint text must never be markup"
    assert not re.search(r"except( Exception)?:\s*(pass|\.\.\.)", code), "a swallowed exception"
    if path.parts[-2] != "schema" and "queries" in path.parts:
        assert not re.search(r"\b(now\(\)|current_timestamp|current_date)", code), "time is a parameter"
    if "pages" in path.parts:
        assert not re.search(r"#[0-9a-fA-F]{6}\b", code), "colours live in the theme"


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=lambda p: p.name)
def test_a_page_is_short_and_needs_its_context(path):
    code = path.read_text("utf-8")
    assert len(code.splitlines()) <= 100
    assert "navigation.require()" in code or "context.frame(" in code, "a page refuses to run without the entry script"


def test_public_functions_say_what_they_return():
    silent = []
    for path in FILES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and path.parts[-2] == "queries" and not ast.get_docstring(node):
                silent.append(f"{path.name}:{node.name}")
    assert silent == []


def test_the_readme_knows_every_setting_command_and_page():
    readme = (ROOT / "README.md").read_text("utf-8")
    settings = set(re.findall(r'"(DATABASE_(?:READ_)?URL|DASHBOARD_[A-Z]+)"', (ROOT / "dashboard" / "settings.py").read_text("utf-8")))
    commands = set(re.findall(r'add\("([a-z]+)"', (ROOT / "dashboard" / "__main__.py").read_text("utf-8")))
    assert len(settings) >= 7 and len(commands) >= 10
    for word in settings | commands:
        assert f"`{word}`" in readme, word
    for page in (ROOT / "pages").glob("*.py"):
        assert f"{page.stem}-zh.png" in readme or f"{page.stem}-en.png" in readme, page.stem
    for picture in re.findall(r"\((docs/pictures/[^)]+)\)", readme):
        assert (ROOT / picture).exists(), picture


def test_the_indicators_are_documented_as_they_are():
    from queries.indicators import markdown
    assert (ROOT / "docs" / "indicators.md").read_text("utf-8") == markdown(), "python -m dashboard indicators > docs/indicators.md"


def test_migrations_are_numbered_without_gaps():
    versions = sorted(p.stem for p in (ROOT / "queries" / "schema" / "versions").glob("*.py"))
    assert [v[:4] for v in versions] == [f"{n:04d}" for n in range(1, len(versions) + 1)]


def test_every_mutation_still_finds_its_place():
    """`make mutate` runs last and takes minutes; that one has nothing left to take away is seen here at once."""
    mutations = tomllib.loads((ROOT / "tests" / "mutations.toml").read_text("utf-8"))["mutation"]
    assert mutations and [one["protects"] for one in mutations if (ROOT / one["file"]).read_text("utf-8").count(one["old"]) != 1] == []


def test_no_path_of_a_machine_in_any_file():
    for path in [*FILES, *(ROOT / "tests").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").iterdir(), ROOT / "Makefile"]:
        assert not re.search(r"/" r"work/(main|shared|\.library)", path.read_text("utf-8")), path
