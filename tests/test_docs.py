"""The docs: a site that builds without a warning, links that lead somewhere, commands that make knows."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
PAGES = sorted([*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md")])
MAKEFILE = (HERE / "Makefile").read_text(encoding="utf-8")
PACKAGES = ("extract", "features", "fuse", "manifests")
CODE = "".join(path.read_text(encoding="utf-8") for name in PACKAGES for path in (HERE / name).rglob("*.py"))
"""Where variables of the environment are read by their names."""
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?!\w+:|#)([^)#\s]+)(?:#[^)]*)?\)")


def commands(page):
    """Return every make command in the blocks of code of a page, comments left out."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = (line.strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line.startswith("make ")]


@pytest.mark.slow
def test_the_site_builds(tmp_path):
    """Sphinx has nothing to warn of, and every page is there."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "sphinx",
        "-q",
        "-W",
        "-b",
        "html",
        str(HERE / "docs"),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pages = {path.relative_to(HERE / "docs").with_suffix(".html") for path in (HERE / "docs").rglob("*.md")}
    assert {str(page) for page in pages if not (tmp_path / page).is_file()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HERE)))
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file of the checkout."""
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: str(page.relative_to(HERE))
)
def test_make_knows_every_command(page):
    """Whatever a page says to type, make has a target for it, and every variable in it is one that something reads."""
    for line in commands(page):
        words = [word for word in shlex.split(line, comments=True)[1:] if word != "|"]
        done = subprocess.run(["make", "-n", *words], cwd=HERE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        names = {word.partition("=")[0] for word in words if "=" in word}
        assert {name for name in names if f"$({name})" not in MAKEFILE and f'"{name}"' not in CODE} == set(), line
