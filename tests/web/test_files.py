"""The page's files, read without a browser: what they may hold, and that both languages say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.web.fake_daemon import WEB

FILES = sorted(path for path in WEB.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
_ENTRY = re.compile(r"^  (\w+): (.+),$", re.MULTILINE)
# Ways for text to become markup or code. (The policy that the browser is given forbids them, too.)
_SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    r"|setAttribute\(\"style\"|set(?:Interval|Timeout)\(\""
)


def words(language: str) -> dict[str, str]:
    return dict(_ENTRY.findall((WEB / "js" / f"words.{language}.js").read_text(encoding="utf-8")))


def gaps(text: str) -> set[str]:
    """What is put into it: {name}, {n} …"""
    return set(re.findall(r"\{(\w+)\}", text))


def test_both_languages_have_the_same_words() -> None:
    english, chinese = words("en"), words("zh")
    assert len(english) > 150
    assert english.keys() == chinese.keys()
    assert [key for key in english if gaps(english[key]) != gaps(chinese[key])] == []


def test_every_word_that_is_asked_for_is_there() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS if not path.name.startswith("words."))
    asked = set(re.findall(r"\bt\(\"(\w+)\"", text))
    assert len(asked) > 100
    assert asked - words("en").keys() == set()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_text_never_becomes_markup(path: Path) -> None:
    assert _SINKS.search(path.read_text(encoding="utf-8")) is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    """No address of another host, but for the names of XML and what stands in a field as a hint."""
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text) == []
    assert len(text.splitlines()) <= 300


def test_the_document_holds_no_code_and_no_style() -> None:
    text = (WEB / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<style|style=|\son\w+=|<script(?![^>]* src=)", text) is None


def test_the_rule_itself() -> None:
    assert _SINKS.search("box.innerHTML = name;")
    assert re.search(r"<script(?![^>]* src=)", "<script>alert(1)</script>")
