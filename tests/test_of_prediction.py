"""The page of a prediction in a browser: without an error, at any width, by keyboard, in the dark, without script."""

from pathlib import Path

import fuse_kit
import numpy as np
import pytest
from browser_kit import assert_fits

from fuse.backdrop import Backdrop
from fuse.extraction import Times
from fuse.kept import Kept
from fuse.pages import of_prediction
from fuse.prediction import Answer, Scored, Stretch
from fuse.prediction_files import Prediction
from fuse.recordings import CORPUS, Found
from fuse.trained import Trained, Weights
from manifests import Audio, Clip, Video
from manifests.labels import TASKS

HOSTILE = "</script><img src=x onerror=alert(1)>"
VOICES = ("fusion", "audio alone", "video alone", "text alone")
LENGTH_S = 24.0


def answers(at_s, tasks, voices=VOICES):
    """Return what each voice says at a moment: something that swings, each voice and class at a pace of its own."""
    return {voice: {task: _answer(at_s + 3 * i, task) for task in tasks} for i, voice in enumerate(voices)}


def _answer(at_s, task):
    classes = TASKS[task].classes
    swing = 1 + np.sin(at_s / 4 + np.arange(len(classes)) * 1.7)
    mean = swing if TASKS[task].kind == "score" else swing / swing.sum()
    said = round(float(mean[0]), 3) if TASKS[task].kind == "score" else classes[int(mean.argmax())]
    return Answer(task, said, mean, 0.1 * mean)


def piece(number, recipe, missing=None):
    """Return a piece of a recording that is scored in windows of three seconds."""
    start_s, voices = number * LENGTH_S, [one for one in VOICES if not missing or one != "text alone"]
    track = {"path": f"talk {HOSTILE}.mp4".replace("/", ""), "start_s": start_s, "end_s": start_s + LENGTH_S}
    clip = Clip(
        id=f"talk.{number:04}",
        corpus=CORPUS,
        split="test",
        duration_s=LENGTH_S,
        audio=Audio(**track),
        video=Video(**track),
        text=None if missing else HOSTILE,
        text_source=None if missing else "given",
    )
    windows = tuple(
        Stretch(at_s, at_s + 3, answers(start_s + at_s, recipe.tasks, voices)) for at_s in np.arange(0, 22, 2.0)
    )
    return Scored(clip, missing or {}, answers(start_s, recipe.tasks, voices), windows)


def prediction():
    """Return a recording of three pieces, the last without words, with everything that a page may show."""
    recipe = fuse_kit.load_recipe("concat", "tasks=emotion,sentiment,sentiment_score")
    trained = Trained(
        folder=Path("concat-demo-00000000"),
        recipe=recipe,
        weights=tuple(Weights("", seed, Path(f"seed-{seed}"), {}) for seed in range(3)),
        views={"emotion": "single", "sentiment": "single", "sentiment_score": "score"},
        entries={m: (Path(f"{encoder}-00000000"),) for m, (encoder, _, _) in fuse_kit.SHAPES.items()},
        digest="",
        kept=Kept(Path(), (), {}),
    )
    pieces = [piece(0, recipe), piece(1, recipe), piece(2, recipe, {"text": f"nobody says {HOSTILE}"})]
    found = Found(Path(), [one.clip for one in pieces], {"broken.mp4": f"no medium {HOSTILE}"})
    loudness = tuple(np.abs(np.sin(np.arange(LENGTH_S * 20) / 9)).tolist())
    behind = {one.clip.id: Backdrop(loudness, ((1.0, 9.5), (11.0, 20.0)), 0.8) for one in pieces}
    times = Times({"run": 0.2, "extract": 9.0, "fuse": 0.4}, {"mfcc": 1.0, "whisper_base": 6.0})
    return Prediction(trained, found, pieces, behind, times, (f"Words are {HOSTILE}.",))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Write the page."""
    path = tmp_path_factory.mktemp("page") / "prediction.html"
    path.write_text(of_prediction.render(prediction()), encoding="utf-8")
    return path


def test_names_from_outside_stay_text():
    """Files, words, reasons and notes with markup in them make no tag."""
    made = of_prediction.render(prediction())
    assert "<img" not in made
    assert made.count("<script") == 1
    assert made.count("&lt;/script&gt;") > 3


def test_every_answer_is_in_a_table():
    """Whole clips and windows stand there in numbers, of every voice, with what is missing and why."""
    made = of_prediction.render(prediction())
    shown = made.partition('id="answers"')[2].partition('id="how-long-it-took"')[0]
    voices, missing, windows = 3 * 4 - 1, 1, 11
    assert shown.count("</tr>") - shown.count("</thead>") == 3 * (voices + missing + windows * voices)
    assert "Without text in 1 of 3 pieces: nobody says" in made


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_no_errors_and_nothing_asked_for_at_any_width(browser, file, dark):
    """The console is empty, only the file itself is read, and no width makes the page scroll sideways."""
    assert_fits(browser, file, "prediction", dark=dark)


@pytest.mark.slow
def test_the_theme_is_switched(browser, file):
    """The switch turns light into dark and says where it leads, by keyboard, too."""
    page = browser.open(file)
    page.run("document.querySelector('.theme').focus()")
    for scheme, word in (("dark", "Light"), ("light", "Dark")):
        page.press("Enter")
        assert page.run("getComputedStyle(document.documentElement).colorScheme") == scheme
        assert page.run("document.querySelector('.theme').textContent") == word
    assert page.errors == []


@pytest.mark.slow
def test_everything_is_there_without_javascript(browser, file):
    """Without it answers, time lines and, once unfolded, windows stand on the page; what would do nothing does not."""
    page = browser.open(file, script=False)
    assert page.run("document.querySelectorAll('main svg polyline').length") > 10 * 7
    assert page.run("document.querySelector('main').innerText").count("audio alone") >= 3 * 3
    assert page.run("[...document.querySelectorAll('.theme, .filter')].every(x => !x.checkVisibility())")
    page.run("document.querySelector('summary').click()")
    assert page.run("document.querySelector('details table').checkVisibility()")


@pytest.mark.slow
def test_it_is_walked_through_by_keyboard(browser, file):
    """From the first key on everything that does something is reached, and is seen to be."""
    page = browser.open(file)
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    reached = []
    while "BODY " not in reached:
        page.press("Tab")
        reached.append(page.run("document.activeElement.tagName + ' ' + document.activeElement.className"))
        assert reached[-1] == "BODY " or page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached[0] == "BUTTON theme"
    assert sum(one.startswith("SUMMARY") for one in reached) == 1
    assert sum(one.endswith("wide") for one in reached) > 3
    page.run("document.querySelector('summary').focus()")
    page.press("Enter")
    assert page.run("document.querySelector('details').open")


@pytest.mark.slow
def test_landmarks_and_names(browser, file):
    """A screen reader finds one main part and a navigation, captions, and each picture's title and words."""
    page = browser.open(file)
    assert page.run("document.querySelectorAll('main, nav[aria-label], h1').length") == 3
    assert page.run("[...document.querySelectorAll('table')].every(x => x.caption && x.querySelector('th[scope]'))")
    assert page.run("[...document.querySelectorAll('svg[role=img]')].every(x => x.querySelector('title, desc'))")
    assert page.run("[...document.querySelectorAll('nav a')].every(x => document.querySelector(x.hash))")
