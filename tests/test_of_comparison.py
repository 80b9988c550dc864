"""The page of a comparison: it says what was found, no name from outside becomes markup, and a browser shows it."""

from html.parser import HTMLParser

import pytest
from browser_kit import assert_fits
from run_kit import EMOTION, SENTIMENT, both, fold, outcome, part, run, sole
from test_compare import finish, guessed

from fuse import written
from fuse.__main__ import main
from fuse.compare import compare
from fuse.pages import of_comparison

HOSTILE = "</script><img src=x onerror=alert(1)>"
NONE = ["", ""]
DASH = "\N{EN DASH}"


class Words(HTMLParser):
    """Collects tags, addresses, headlines and the text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.links, self.text, self.titles = [], [], "", []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        """Keep a tag, and where it leads."""
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in {"href", "src"}]

    def handle_data(self, data):
        """Keep a text."""
        self.text += data
        self.titles += [data] if self.tags and self.tags[-1] == "h2" and data.strip() else []


def three(root, **more):
    """Finish the example, one that always says happy, and one that is nearly right."""
    near = both(["neutral", "happy", "sad", "sad"])
    runs = {
        "first": run(fold(), warnings=("read me",), provenance={"recipe": {"train": {"lr": 0.1}}}),
        "second": run(fold(outcomes=(outcome(0, both(["happy"] * 4)),)), model="concat", warnings=("read me",)),
        "third": run(fold(outcomes=(outcome(0, near),)), model="bfs", warnings=("me, too",), **more),
    }
    return [finish(root / name, one) for name, one in runs.items()]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three runs below one folder, of which the first has a report."""
    found = three(tmp_path_factory.mktemp("runs"))
    (found[0] / "report.html").write_text("<p>a report")
    return found


@pytest.fixture(scope="module")
def compared(folders):
    """Compare them once."""
    return compare(folders)


def test_everything_that_was_found_is_said(compared):
    """Each section is there, differences with and without correction, and whose note a note is."""
    found = Words(of_comparison.html(compared, ["", "", ""]))
    assert found.titles == [
        *("At a glance", "Scores", "Seeds", "Classes", "Agreement", "Clips", "What differs", "Runs"),
    ]
    assert "2 concat has -30.0 mf1 against 1 lefsa" in found.text
    assert "These are 4 comparisons" in found.text
    assert "Note of 1 lefsa, 2 concat:" in found.text
    assert "Note of 3 bfs:" in found.text
    assert "train.lr" in found.text
    assert found.text.count("make fuse MODEL=lefsa CORPUS=demo") == 3


def test_only_a_clear_difference_stands_out(tmp_path):
    """One run is far better than the first, another is level with it: the words, the weight and the colour say so."""
    bad, same, good = (finish(tmp_path / name, guessed(share)) for name, share in (("b", 0.4), ("s", 0.4), ("g", 0.95)))
    page = of_comparison.html(compare([bad, same, good]), ["", "", ""])
    gaps = page.partition('class="bars gaps"')[2].partition("</table>")[0]
    assert gaps.count('<tr class="model">') == gaps.count('class="fill-model"') == 1
    assert gaps.count('class="fill-floor"') == 1
    assert "2 lefsa has +0.0 mf1 against 1 lefsa (+0.0 to +0.0), which may be chance." in page
    assert ", more than chance gives." in page


def test_numbers_have_no_classes_and_no_agreement(tmp_path):
    """Of scores of sentiment there are differences and clips, and nothing is said of right or wrong."""
    truth = (-1.0, 0.5, 2.0, 1.0)
    pair = [
        finish(tmp_path / name, run(sole("sentiment_score", truth, values, 0.2)))
        for name, values in (("near", [-1.0, 0.5, 2.0, 0.5]), ("far", [-1.5, 0.5, 0.0, 0.5]))
    ]
    found = Words(of_comparison.html(compare(pair), NONE))
    assert not {"Classes", "Agreement"} & set(found.titles)
    assert "corr against 1 lefsa" in found.text
    assert "\N{CHECK MARK}" not in found.text.partition("Clips on which runs differ")[2]
    level = Words(of_comparison.html(compare([pair[0], pair[0]]), NONE))
    assert "about every clip" in level.text
    assert "Neither features nor settings" in level.text


def test_runs_of_strangers_stay_text(tmp_path):
    """Clips, speakers, corpora, models, notes, commands, settings, features and folders with markup make no tag."""
    names = [f"{number}{HOSTILE}" for number in range(4)]
    own = part({"emotion": EMOTION, "sentiment": SENTIMENT}, names, [HOSTILE] * 4, names)
    folders = []
    for number, words in enumerate((["happy"] * 4, ["neutral", "happy", "happy", "sad"])):
        made = run(
            fold(parts={"train": own, "dev": own, "test": own}, outcomes=(outcome(0, both(words)),)),
            model=HOSTILE,
            command=HOSTILE,
            warnings=(f"{HOSTILE}{number}",),
            provenance={"recipe": {HOSTILE: f"{HOSTILE}{number}"}, "features": {HOSTILE: f"{HOSTILE}{number}"}},
        )
        folders.append(finish(tmp_path / f"<img src=y>{number}", made))
    found = Words(of_comparison.html(compare(folders), NONE))
    assert "img" not in found.tags
    assert found.tags.count("script") == 1
    assert found.text.count(HOSTILE) > 20
    assert all(link.startswith(("#", "data:,")) for link in found.links)


def test_where_the_page_goes_and_what_it_leads_to(folders, compared, tmp_path, monkeypatch):
    """It lies below RUNS_ROOT, or where it is told, and leads to reports that move with it."""
    monkeypatch.setenv("RUNS_ROOT", str(folders[0].parent))
    usual = written.comparison(compared, None)
    assert usual.parent == folders[0].parent / "comparisons"
    assert usual == written.comparison(compared, None)
    assert [one.name for one in usual.parent.iterdir()] == [usual.name]
    assert usual.name.startswith("lefsa+concat+bfs-")
    assert "../first/report.html" in Words(usual.read_text()).links
    assert (usual.parent / "../first/report.html").exists()
    asked = written.comparison(compared, tmp_path / "new" / "page.html")
    assert asked == tmp_path / "new" / "page.html"
    assert written.comparison(compared, tmp_path) == tmp_path / usual.name
    assert "report.html" not in asked.read_text()


def test_the_command_prints_where_the_page_is(folders, tmp_path, capsys):
    """The tables come first, the path last."""
    assert main(["compare", *map(str, folders), "--out", str(tmp_path / "here.html")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("emotion on demo, 3 test clips")
    assert out.splitlines()[-1] == f"page: {tmp_path / 'here.html'}"
    assert (tmp_path / "here.html").exists()


def test_a_name_from_outside_leads_nowhere(tmp_path, monkeypatch):
    """A model that is called like a path gives a file in the folder of comparisons."""
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
    pair = [finish(tmp_path / name, run(fold(), model="../../\x1b[2J/x")) for name in "ab"]
    path = written.comparison(compare(pair), None)
    assert path.resolve().parent == (tmp_path / "runs" / "comparisons").resolve()
    assert path.name.isprintable()


@pytest.fixture(scope="module")
def file(compared, tmp_path_factory):
    """Write the page."""
    return written.comparison(compared, tmp_path_factory.mktemp("page") / "comparison.html")


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it_at_any_width(browser, file, dark):
    """The console is empty, only the file itself is read, and no width makes the page scroll sideways."""
    assert_fits(browser, file, "comparison", dark=dark)


@pytest.mark.slow
def test_it_can_be_sorted_and_filtered(browser, file):
    """A click sorts scores as numbers, words narrow the clips, and every table and picture has a name."""
    page = browser.open(file)
    column = "[...document.querySelectorAll('#scores-0 tbody tr')].map(row => row.cells[4].textContent)"
    page.run("document.querySelectorAll('#scores-0 thead button')[4].click()")
    assert page.run(column) == [f"40.0 ± {DASH}", "70.0 ± 42.4", f"83.3 ± {DASH}"]
    page.run("document.querySelectorAll('#scores-0 thead button')[4].click()")
    assert page.run(column)[0] == f"83.3 ± {DASH}"
    page.run("const i = document.querySelector('.filter input'); i.value = 'Emotion sad'; i.oninput()")
    rows = "[...document.querySelectorAll('#apart tbody tr')]"
    shown = page.run(f"{rows}.filter(row => !row.hidden).map(row => row.textContent)")
    assert 0 < len(shown) < page.run(f"{rows}.length")
    assert all("sad" in text for text in shown)
    assert page.run("[...document.querySelectorAll('table')].every(x => x.caption && x.querySelector('th[scope]'))")
    assert page.run("[...document.querySelectorAll('svg[role=img]')].every(x => x.querySelector('title, desc'))")
    assert page.run("[...document.querySelectorAll('nav a')].every(x => document.querySelector(x.hash))")
    assert page.errors == []
