"""Pages cannot lie about what is where: links, paths, commands and words are held to the tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "web" for part in page.relative_to(ROOT).parts)
    and (page.parent.name != "changelog.d" or page.name == "README.md")
)
"""
Our own pages: what the web page carries of others is theirs, and fragments of the changelog are
written as they will stand in it.
"""
GUIDES = ("CONTRIBUTING.md", "docs/architecture.md", "tests/README.md")
"""Pages that say where everything is."""
TREES = ("service", "tests", "docs", "examples", "benchmarks", "changelog.d", "deploy")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PROMISE = re.compile(r"\bP([0-9]{1,2})\b")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def links() -> Iterator[tuple[Path, str]]:
    """Yield every link of every page to another file, or to a heading."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"`[^`\n]*`", "`code`", text)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.search(r"[./#]", link) and not re.match(r"[a-z]+:", link):
                yield page, link


def named(page: str) -> Iterator[str]:
    """Yield the paths that a page names as code, from the root of the repository."""
    for code in re.findall(r"`([^`\n]+)`", (ROOT / page).read_text()):
        path = code.removesuffix("/")
        if re.fullmatch(rf"({'|'.join(TREES)})(/[\w.-]+)+", path):
            yield path


@pytest.mark.parametrize(
    ("page", "link"), [(str(page.relative_to(ROOT)), link) for page, link in links()]
)
def test_links_lead_somewhere(page: str, link: str) -> None:
    """Every link of every page leads to a file that exists, and to a heading in it."""
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize(
    ("page", "path"), [(page, path) for page in GUIDES for path in named(page)]
)
def test_paths_exist(page: str, path: str) -> None:
    """Whoever follows a guide finds the file where it says."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "docs/releasing.md", *GUIDES])
def test_commands_exist(page: str) -> None:
    """What a guide says to run can be run: targets of make, and modules of Python."""
    text = (ROOT / page).read_text()
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= TARGETS
    for module in re.findall(r"python -m ([\w.]+)", text):
        assert module == "build" or find_spec(module)


def test_every_page_is_reached_from_the_readme() -> None:
    """A newcomer who begins with README and follows links finds every page."""
    leads: dict[Path, set[Path]] = {page: set() for page in PAGES}
    for page, link in links():
        target = (page.parent / link.partition("#")[0]).resolve()
        leads[page] |= {target, target / "README.md"}
    reached: set[Path] = set()
    waiting = {ROOT / "README.md"}
    while waiting:
        reached |= waiting
        waiting = set().union(*(leads[page] for page in waiting)) & leads.keys() - reached
    assert reached == set(PAGES)


def test_every_folder_of_tests_is_explained() -> None:
    """`tests/README.md` says of every folder which question it answers."""
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
    rows = set(re.findall(r"`(tests/[\w/]+)`", (ROOT / "tests/README.md").read_text()))
    assert {str(folder) for folder in folders} - {"tests"} <= rows


def test_the_glossary_is_in_order() -> None:
    """A term is found where the alphabet puts it, and stands once."""
    terms = re.findall(
        r"^\| \*\*(.+?)\*\* \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE
    )
    assert len(terms) > 50
    assert terms == sorted(set(terms), key=str.lower)


def test_promises_are_those_of_the_design() -> None:
    """Tests name no promise that there is not, and each that is built is named by a test."""
    design = (ROOT / "docs/design.md").read_text()
    promised = set(re.findall(r"^\| \*\*P(\d+) ", design, re.MULTILINE))
    planned = set(re.findall(r"^\| \*\*P(\d+) .*\| \*Not built yet", design, re.MULTILINE))
    texts = [path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    tested = {number for text in texts for number in PROMISE.findall(text)}
    assert promised == {str(number) for number in range(1, 15)}
    assert tested - promised == set()
    assert promised - planned <= tested
