"""The pages hold together: links resolve, every command and decision is told, named files exist."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.main import get_command

from rec_platform.cli import app
from rec_platform.flow.registry import LAYERS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = ROOT / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
TOP = get_command(app).commands  # type: ignore[attr-defined]
#: Every command by its words: `run`, `features check`, ...
COMMANDS = {
    " ".join(words): command
    for name, one in TOP.items()
    for words, command in [
        ((name,), one),
        *(((name, sub), inner) for sub, inner in getattr(one, "commands", {}).items()),
    ]
}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its code, fenced, indented or inline: what stands in code is no link."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as hosts of Markdown make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not target.startswith(("http:", "https:")) and (
            not file.exists() or (anchor and anchor not in anchors(file))
        ):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_resolves(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One head\n[a](nowhere.md) [b](#one-head) [c](#other) [d](page.md) `[e](code.md)`\n\n    [f](code.md)\n"
    )
    assert broken(page) == ["nowhere.md", "#other"]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_told(command: str) -> None:
    assert [name(page) for page in PAGES if f"rec-platform {command}" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_and_option_that_is_told_exists(page: Path) -> None:
    """`rec-platform COMMAND --option` in code, up to the end of the line or of the code; COMMAND may be two words."""
    for first, rest in re.findall(r"\brec-platform ([a-z]+)\b([^`\n]*)", code(page)):
        second = f"{first} {rest.split()[0]}" if rest.split() else first
        command = second if second in COMMANDS else first
        assert command in COMMANDS, f"rec-platform {command}"
        known = {option for one in COMMANDS[command].params for option in one.opts} | {"--help"}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, f"rec-platform {command}{rest}"


def code(page: Path) -> str:
    """What stands in code of a page, line by line, without comments."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```.*?^```", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}.*$", text, flags=re.MULTILINE)
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return re.sub(r" #.*", "", "\n".join([*fenced, *indented, *inline]))


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)[^)]*\)", prose(page))
        waiting += [file for link in links if (file := (page.parent / link).resolve()) not in reached and file.exists()]
    assert [name(page) for page in PAGES if page not in reached] == []


def test_every_decision_is_listed_once_with_its_title() -> None:
    listed = re.findall(r"^- \[(\d{4})\]\((.+?)\) (.+)$", (DECISIONS / "README.md").read_text(), flags=re.MULTILINE)
    titles = {record.name: record.read_text(encoding="utf-8").splitlines()[0] for record in RECORDS}
    assert [(file, f"# {number} {title}") for number, file, title in listed] == list(titles.items())


def test_numbers_of_decisions_are_used_once() -> None:
    numbers = [record.name[:4] for record in RECORDS]
    assert len(set(numbers)) == len(numbers)


def test_decisions_that_are_referred_to_exist() -> None:
    numbers = {record.name[:4] for record in RECORDS}
    for page in PAGES:
        assert set(re.findall(r"[Dd]ecisions? (00\d\d)", page.read_text(encoding="utf-8"))) <= numbers, name(page)


def test_the_files_that_the_readme_sends_you_to_exist() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| ") and " | " in line]
    files = re.findall(r"`((?:rec_platform|assets|examples|tests|benchmarks)/[^`]*)`", "\n".join(rows))
    assert len(files) >= 5
    assert [file for file in files if not list(ROOT.glob(file.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_of_the_project_that_a_page_names_exist(page: Path) -> None:
    pattern = r"`((?:rec_platform|assets|examples|tests|benchmarks|docs)/[\w/.*-]+\.(?:py|toml|md))`"
    named = set(re.findall(pattern, page.read_text(encoding="utf-8")))
    allowed = {"rec_platform/models/sign.py"}  # the model that docs/models.md adds
    assert sorted(file for file in named - allowed if not list(ROOT.glob(file))) == []


def pictures(page: Path) -> list[Path]:
    """The pictures that a page shows with words for those who do not see them, in Markdown or, where narrower, as HTML."""
    shown = re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"[^>]* alt=\"[^\"]+\">", prose(page))
    return [(page.parent / (markdown or html)).resolve() for markdown, html in shown]


def test_every_picture_is_shown_with_its_words_and_is_small() -> None:
    shown = {picture for page in PAGES for picture in pictures(page)}
    assert shown == set((ROOT / "docs" / "images").iterdir())
    assert {picture.name: size for picture in shown if (size := picture.stat().st_size) > 150_000} == {}


def test_a_picture_without_words_is_not_shown(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "![](a.png) ![what is\nseen](b.png) [no picture](c.png) `![code](d.png)`\n"
        '<img src="e.png" width="9" alt="words"> <img src="f.png" alt=""> <img src="g.png">\n'
    )
    assert [picture.name for picture in pictures(page)] == ["b.png", "e.png"]


def drawn_hours(fact: str) -> tuple[float, float]:
    """From when to when the picture of Ana's evening has a fact count it, in hours since 2025-03-10 12:00 UTC."""
    picture = ElementTree.parse(ROOT / "docs" / "images" / "anas-evening.svg")
    bars = [bar for bar in picture.iter("{http://www.w3.org/2000/svg}rect") if bar.get("id") == fact]
    edges = [(int(bar.attrib["x"]), int(bar.attrib["x"]) + int(bar.attrib["width"])) for bar in bars]
    left, right = edges[0] if edges else (176, 176)
    return (left - 176) / 4, (right - 176) / 4


def test_the_picture_of_anas_evening_is_its_table() -> None:
    """Facts of a profile count after the bar's left edge, its right edge included; those of a title by their ticks."""
    page = (ROOT / "docs" / "clocks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d\d)th, (\S+) \| (?:yes|no) \| (\w+) \| (\w+) \| (\w+) \|", page, flags=re.MULTILINE)
    assert len(rows) == 9
    for day, time, *counted in rows:
        asked = datetime.fromisoformat(f"2025-03-{day}T{time}") - datetime(2025, 3, 10, 12)
        hours = asked.total_seconds() / 3600
        (a, b), (c, d), (e, f) = map(drawn_hours, ("profile_plays_1d", "profile_plays_7d", "title_plays_7d"))
        drawn = [a < hours <= b, c < hours <= d, e <= hours < f]
        assert ["yes" if one else "no" for one in drawn] == counted, (day, time)


def test_the_drawn_flow_is_the_wired_one() -> None:
    """Every arrow between two stages in the README's diagram is a dependency of the asset."""
    diagram = (ROOT / "README.md").read_text(encoding="utf-8").split("```mermaid")[1].split("```")[0]
    steps = [line.split(" --> ") for line in diagram.splitlines() if " --> " in line]
    arrows = [
        (source, target)
        for chain in steps
        for sources, targets in pairwise(chain)
        for source in sources.strip().split(" & ")
        for target in targets.strip().split(" & ")
        if (ROOT / "assets" / f"{target}.py").exists()
    ]
    assert {target for _, target in arrows} == {layer for layers in LAYERS for layer in layers}
    for source, target in arrows:
        assert f'AssetDep("{source}"' in (ROOT / "assets" / f"{target}.py").read_text(encoding="utf-8"), (
            source,
            target,
        )
