"""The page of a run: what it says can be worked out by hand, and a reader sees it in a browser without an error."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from browser_kit import assert_fits
from run_kit import EMOTION, SENTIMENT, both, fold, outcome, part, run, sole, two_folds
from test_report import SETS

from fuse import insight, verdict
from fuse.embedding import Embedded
from fuse.pages import of_run
from fuse.result import Part, Predicted
from manifests.labels import TASKS

HOSTILE = "</script><img src=x onerror=alert(1)>"
RIGHT = ["neutral", "happy", "happy", "sad"]


def parted(**more):
    """Return a run that is right, whose audio head always says happy and whose video head is right, too."""
    happy, right = ({"dev": one, "test": one} for one in (both(["happy"] * 4), both(RIGHT)))
    return run(fold(outcomes=(outcome(0, both(RIGHT), parts={"audio": happy, "video": right}, **more),)))


def without(**said_then):
    """Return a run that is right, and what it says without each modality."""
    lost = {f"without {modality}": {"test": both(words)} for modality, words in said_then.items()}
    return run(fold(outcomes=(outcome(0, both(RIGHT), ablated=lost),)))


def mapped(vectors, **more):
    """Return a run that is right, and whose heads read this of the first clips."""
    drawn = Embedded(tuple(range(len(vectors))), np.asarray(vectors, dtype=float))
    return run(fold(outcomes=(outcome(0, both(RIGHT), embedded=drawn),)), **more)


class Words(HTMLParser):
    """Collects headlines, tags, and the text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text, self.titles, self.inside = [], "", [], ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):  # noqa: ARG002 (the library's)
        """Keep a tag."""
        self.inside = tag
        self.tags.append(tag)

    def handle_data(self, data):
        """Keep a text."""
        self.text += data
        self.titles += [data] if self.inside == "h2" and data.strip() else []


def test_every_section_stands_where_there_is_something_to_show():
    """A run with everything has every section; scores alone have no classes and no confusion, and the rest is said."""
    assert Words(of_run.html(parted())).titles == [
        *("At a glance", "Scores", "Classes", "Confusion", "Seeds and folds", "Training", "Calibration"),
        *("Missing modalities", "Agreement", "Hardest clips", "Clips", "Sources", "Again"),
    ]
    numbers = Words(of_run.html(run(sole("sentiment_score", (-1.0, 0.5, 2.0, None), [-2.0, 0.5, 1.0, 9.0], 0.2))))
    assert not {"Classes", "Confusion"} & set(numbers.titles)
    assert "this run has none" in numbers.text
    assert "Not asked for" in numbers.text
    assert "no parts" in numbers.text


def test_a_map_for_each_task_with_classes():
    """Two pictures of the same clips, with neighbours beside chance; what was not drawn is said, numbers have none."""
    page = of_run.html(mapped([[1, 0], [0.1, 1], [0, 1], [0.9, 0.1]]))
    words = Words(page)
    assert words.titles.index("Map") == words.titles.index("Missing modalities") + 1
    assert {"Map by emotion", "Map by sentiment"} <= set(
        words.text.splitlines() + re.findall("<title>(.*?)</title>", page)
    )
    assert "4 of 4 test clips, seed 0" in words.text
    assert "same class for 67% of clips, by chance for 33%" in words.text
    assert "same class for 0% of clips, by chance for 33%" in words.text
    assert "is not drawn: it is the same for every clip" in Words(of_run.html(mapped(np.ones((4, 2))))).text
    numbers = sole("sentiment_score", (-1.0, 0.5, 2.0, None), [-2.0, 0.5, 1.0, 9.0], 0.2)
    (seed,) = numbers.outcomes
    drawn = dataclasses.replace(seed, embedded=Embedded((0, 1, 2), np.eye(3)))
    assert (
        "Only tasks with one class per clip are drawn"
        in Words(of_run.html(run(dataclasses.replace(numbers, outcomes=(drawn,))))).text
    )


def test_modalities_missing_at_random_are_a_curve_and_a_table():
    """They stand below the ablation and in no other section; without them there is no curve."""
    lost = {0.1: {"test": both(RIGHT)}, 0.5: {"test": both(["happy"] * 4)}}
    ablated = {"without audio": {"test": both(RIGHT)}}
    page = of_run.html(run(fold(outcomes=(outcome(0, both(RIGHT), thinned=lost, ablated=ablated),))))
    section = page.partition('id="missing-modalities"')[2].partition("</section>")[0]
    assert section.count("<svg") == section.count('class="plot"') + 2 * 2
    assert "100 % at 0%; 100 % at 10%; 40 % at 50%" in section
    assert "50 % missing" in section
    assert "50 % missing" not in page.replace(section, "")
    assert "growing share" not in of_run.html(without(audio=RIGHT))


def test_a_run_without_labels_or_training_still_has_a_page():
    """No test clip with a label and weights scored as given are said in a word."""
    bare = part({"emotion": [None] * 4, "sentiment": SENTIMENT})
    given = dataclasses.replace(outcome(0, both(["happy"] * 4)), history=[], epoch=0)
    made = run(fold(parts=dict.fromkeys(("train", "dev", "test"), bare), outcomes=(given,)))
    assert "scored as given" in Words(of_run.html(made)).text
    empty = part({"emotion": [None] * 4, "sentiment": [None] * 4})
    found = Words(of_run.html(run(fold(parts={"train": empty, "dev": empty, "test": empty}))))
    assert "No test clip has a label" in found.text


@pytest.mark.parametrize("made", [parted(), run(*two_folds()), SETS], ids=["parts", "folds", "sets"])
def test_the_same_run_gives_the_same_page(made):
    """Nothing but the run enters the page."""
    assert of_run.html(made) == of_run.html(dataclasses.replace(made))


def test_names_from_outside_stay_text():
    """Clips, speakers, corpora, models, folds, notes and settings with markup in them make no tag."""
    names = [f"{number}{HOSTILE}" for number in range(4)]
    own = part({"emotion": EMOTION, "sentiment": SENTIMENT}, names, [HOSTILE] * 4, names)
    one = fold(HOSTILE, parts={"train": own, "dev": own, "test": own})
    made = run(
        dataclasses.replace(one, floors={HOSTILE: one.floors["linear"]}),
        dataclasses.replace(one, name="b", floors={HOSTILE: one.floors["linear"]}),
        **dict.fromkeys(("recipe", "model", "command"), HOSTILE),
        warnings=(HOSTILE,),
        provenance={"features": {HOSTILE: HOSTILE}, HOSTILE: [HOSTILE]},
    )
    found = Words(of_run.html(made))
    assert "img" not in found.tags
    assert found.tags.count("script") == 1
    assert found.text.count(HOSTILE) > 20


def test_which_modality_carried_it():
    """Of what is taken away the greater loss carried it; equal losses are said to be equal, none to be none."""
    task = "emotion", "demo"
    # Always happy has F1 of 0 and 4/5, so a mean of 40.
    video = verdict.carried(without(audio=RIGHT, video=["happy"] * 4), *task)
    assert video == "Video carried it: mf1 changes by -60.0 points without video, +0.0 without audio."
    equal = verdict.carried(without(audio=["happy"] * 4, video=["happy"] * 4), *task)
    assert equal.startswith("Audio and video carried it about equally: ")
    assert verdict.carried(without(audio=RIGHT, video=RIGHT), *task).startswith("No modality carried it alone")


def test_without_ablations_other_evidence_is_named():
    """Heads of the model come next, then linear floors, and where there is nothing that is said."""
    task = "emotion", "demo"
    heads = verdict.carried(parted(), *task)
    assert heads.startswith("Video says the most alone (mf1 of the model's own heads: video 100.0, audio 40.0)")
    happy, right = ({"dev": one, "test": one} for one in (both(["happy"] * 4), both(RIGHT)))
    floors = fold(floors={"linear, audio alone": right, "linear, video alone": happy})
    assert verdict.carried(run(floors), *task).startswith("Audio says the most alone (mf1 of linear models")
    assert verdict.carried(run(fold()), *task).startswith("Nothing in this run tells modalities apart")


def test_how_the_model_stands_to_the_best_floor():
    """Below, above, and within the interval are told apart."""
    above, below = (fold(outcomes=(outcome(0, both(words)),)) for words in (RIGHT, ["sad"] * 4))
    assert "the best floor is linear with 66.7, which it beats." in verdict.reached(run(above), "emotion", "demo")
    assert "which it does not reach." in verdict.reached(run(below), "emotion", "demo")
    assert "which lies within that interval." in verdict.reached(run(fold()), "emotion", "demo")


def test_calibration_by_hand():
    """Two clips with share 0.9 of which one is right, and one right with 0.65: the error is (2 x 0.4 + 0.35) / 3."""
    shares = np.zeros((4, 7))
    shares[[0, 1, 2, 3], [0, 0, 1, 1]] = 0.9, 0.9, 0.65, 0.9
    shares[:, 6] = 1 - shares.sum(axis=1)
    said = {"emotion": Predicted(shares), "sentiment": both(RIGHT)["sentiment"]}
    bins, error = insight.calibration(run(fold(outcomes=(outcome(0, said),))).of_model("emotion", "demo", "test"))
    assert error == pytest.approx((2 * 0.4 + 0.35) / 3)
    assert [(i, one.clips, one.right) for i, one in enumerate(bins) if one] == [(6, 1, 1.0), (9, 2, 0.5)]


def test_agreement_by_hand():
    """The head that always says happy agrees on two of three clips, and is never right where it disagrees."""
    found = insight.agreement(parted(), "emotion", "demo")
    assert found.names == ("lefsa", "audio", "video")
    assert found.same == pytest.approx(np.array([[1, 2 / 3, 1], [2 / 3, 1, 2 / 3], [1, 2 / 3, 1]]))
    assert found.apart.tolist() == [[1, 1, 0], [0, 0, 0]]
    assert insight.agreement(run(fold()), "emotion", "demo") is None


def test_hardest_by_hand():
    """Only what some seed missed is listed: the first clip, by the seed that always says happy."""
    (one, *_) = insight.hardest(run(fold()))
    assert (one.clip, one.truth, one.said, one.share, one.missed, one.times) == ("=1+1", "neutral", "happy", 1, 1, 2)
    assert not insight.hardest(run(fold(outcomes=(outcome(0, both(RIGHT, SENTIMENT)),))))


def large(clips=2610, seeds=5):
    """Return a run as large as MELD's, of random shares of two tasks."""
    draw = np.random.default_rng(0)
    names = tuple(f"dia{number}_utt{number % 20}" for number in range(clips))
    tasks = {task: len(TASKS[task].classes) for task in ("emotion", "sentiment")}
    truth = {task: np.eye(k)[draw.integers(0, k, clips)] for task, k in tasks.items()}
    speakers = tuple(f"meld speaker {number % 260}" for number in range(clips))
    missing = {modality: np.zeros(clips, bool) for modality in ("audio", "text")}
    own = Part(names, ("meld",) * clips, speakers, truth, missing)

    def said():
        return {"test": {task: Predicted(draw.dirichlet([0.5] * k, clips)) for task, k in tasks.items()}}

    outcomes = tuple(
        outcome(seed, said()["test"], parts={"audio": said(), "text": said()}, ablated={"without text": said()})
        for seed in range(seeds)
    )
    return run(fold(parts=dict.fromkeys(("train", "dev", "test"), own), floors={}, outcomes=outcomes))


def test_a_large_run_has_a_small_page():
    """MELD's test clips and five seeds make less than 3 MB."""
    made = large()
    assert len(of_run.html(made).encode()) < 3_000_000
    assert len(insight.hardest(made)) == insight.HARDEST


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Write a page with everything on it."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    lost = {f"without {modality}": {"test": both(["happy"] * 4)} for modality in ("audio", "video")}
    less = {rate: {"test": both(["happy"] * 4)} for rate in (0.1, 0.5)}
    drawn = Embedded(tuple(range(4)), np.eye(4, 3))
    one = outcome(0, both(["sad", "fear", "anger", "sad"], ["neutral"] * 4), ablated=lost, thinned=less, embedded=drawn)
    path.write_text(of_run.html(run(fold(outcomes=(one,)))), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_no_errors_and_nothing_asked_for_at_any_width(browser, file, dark):
    """The console is empty, only the file itself is read, and no width makes the page scroll sideways."""
    assert_fits(browser, file, "run", dark=dark)


@pytest.mark.slow
def test_sorting_filtering_and_the_theme(browser, file):
    """A click sorts and says so, words filter and are counted, the switch turns light into dark: by keyboard, too."""
    page = browser.open(file)
    rows = "[...document.querySelectorAll('#hardest tbody tr')]"
    before = page.run(f"{rows}.map(row => row.cells[0].textContent)")
    page.run("document.querySelector('#hardest thead button').click()")
    up = page.run(f"{rows}.map(row => row.cells[0].textContent)")
    page.run("document.querySelector('#hardest thead button').focus()")
    page.press("Enter")
    assert sorted(before) == sorted(up)
    assert page.run("document.querySelector('#hardest thead th').ariaSort") == "descending"
    assert page.run(f"{rows}.map(row => row.cells[0].textContent)")[0] == up[-1]
    page.run("const i = document.querySelector('.filter input'); i.value = 'Emotion sad'; i.oninput()")
    shown = page.run(f"{rows}.filter(row => !row.hidden).map(row => row.textContent)")
    assert shown
    assert all("emotion" in text and "sad" in text for text in shown)
    assert page.run("document.querySelector('.filter output').textContent") == f"{len(shown)} of {len(before)}"
    page.run("document.querySelector('.theme').click()")
    assert page.run("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert page.run("document.querySelector('.theme').textContent") == "Light"
    assert page.errors == []


@pytest.mark.slow
def test_everything_is_there_without_javascript(browser, file):
    """Without it every word stands on the page, and what would do nothing is not shown."""
    page = browser.open(file, script=False)
    assert page.run("document.querySelector('#hardest').innerText").count("emotion") == 3
    assert page.run("[...document.querySelectorAll('.theme, .filter')].every(x => !x.checkVisibility())")


@pytest.mark.slow
def test_landmarks_and_names(browser, file):
    """A screen reader finds one main part, a named navigation, a caption on each table and a title in each picture."""
    page = browser.open(file)
    assert page.run("document.querySelectorAll('main, nav[aria-label], h1').length") == 3
    assert page.run("[...document.querySelectorAll('table')].every(x => x.caption && x.querySelector('th[scope]'))")
    assert page.run("[...document.querySelectorAll('svg[role=img]')].every(x => x.querySelector('title, desc'))")
    assert page.run("[...document.querySelectorAll('nav a')].every(x => document.querySelector(x.hash))")
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
