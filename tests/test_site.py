"""The page of a cache: what it says follows from cache and manifest; a reader opens it as a file or from a server."""

import http.server
import json
import re
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from browser_kit import PHONE
from fuse_kit import clips, entry, spans, store

import manifests
from features import CacheError, Windows, failures, folder_of
from features.entries import entries
from features.failures import Failure
from fuse import overview, site
from fuse.__main__ import main
from fuse.pages import of_cache
from manifests import Clip, Manifest
from manifests.licence import Licence

OPEN = Licence("CC BY 4.0", ("raw", "transcript", "labels", "features")).tag
CLOSED = Licence("for signatories", ()).tag
HOSTILE = "<img src=x onerror=alert(1)>"


def quiet(_):
    """Say nothing."""


def lay(licence=OPEN, **changes):
    """Fill a manifest and a cache: video lacks two clips, of which one could not be extracted."""
    made = tuple(
        Clip(**{**{name: getattr(clip, name) for name in clip.__slots__}, "licence": licence, **changes})
        for clip in clips()
    )
    lacking = {"train_0", "test_1"}
    store(made, missing=lambda modality, clip: modality == "video" and clip.id in lacking)
    (video,) = [folder for folder, key in entries("demo").items() if key.encoder == "face_hog"]
    failures.record(video, [Failure("test_1", "s", "decode", "the file ends in the middle")])
    return made


def built(tmp_path, *corpora):
    """Return the folder of the page."""
    return site.write(tmp_path / "page", corpora, quiet).parent


def words(path):
    """Return what a page says, without its marks."""
    return re.sub(
        r"\s+", " ", re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", path.read_text("utf-8"), flags=re.DOTALL)
    )


def test_the_first_page_counts_what_the_cache_holds(roots):
    """Clips, those that nobody tried and those that failed stand beside each entry, and each corpus' shares."""
    lay()
    page = built(roots)
    said = words(page / "index.html")
    assert "1 corpus with 40 clips, 3 entries" in said
    (row,) = [
        row for row in re.findall(r"<tr>.*?</tr>", (page / "index.html").read_text("utf-8")) if "face_hog-" in row
    ]
    assert re.findall(r"<td>([\d.,]+)</td>", row)[:4] == ["38", "1", "1", "76"]
    assert "95" in said  # 38 of 40
    corpus = words(page / "demo" / "index.html")
    assert "the file ends in the middle" in corpus
    assert "23 of 24" in corpus


def test_every_clip_has_its_place(roots):
    """The sheet of a clip draws its windows, names its neighbours and says why something is not there."""
    made = lay()
    sheet = (built(roots) / "demo" / "clips-001.html").read_text("utf-8")
    assert all(f'id="c{number}"' in sheet for number in range(len(made)))
    one = sheet[sheet.index('id="c0"') : sheet.index('id="c1"')]
    assert one.count("<rect") == 3  # two windows of audio and one of words; video lacks the clip
    assert "Most alike by mfcc-" in one
    failed = sheet[sheet.index('id="c33"') :]
    assert "decode, 1 x: the file ends in the middle" in failed[: failed.index("</section>")]


def test_links_lead_somewhere(roots):
    """Every link of every page names a file, and a place in it, that is there."""
    lay()
    page = built(roots)
    for path in page.rglob("*.html"):
        for link in re.findall(r'href="([^"#]*)(?:#([^"]*))?"', path.read_text("utf-8")):
            if not link[0].startswith("data:"):
                target = path.parent / link[0] if link[0] else path
                assert target.is_file(), f"{path}: {link[0]}"
                assert not link[1] or f'id="{link[1]}"' in target.read_text("utf-8")


def test_nothing_is_shown_that_its_licence_keeps(roots):
    """Of a corpus that lets nothing leave there are neither labels nor words nor names of speakers."""
    lay(CLOSED, text="a secret sentence", speaker_id="Somebody Known")
    page = built(roots)
    every = "".join(path.read_text("utf-8") for path in page.rglob("*.html"))
    assert not {word for word in ("secret", "Somebody", "happy", "positive") if word in every}
    assert "keep labels and speakers and words in the lab" in words(page / "demo" / "index.html")
    lay(OPEN, text="a free sentence")
    every = "".join(path.read_text("utf-8") for path in built(roots).rglob("*.html"))
    assert "a free sentence" in every
    assert "emotion happy" in every


def test_a_cache_without_a_manifest_has_a_page(roots):
    """Its clips are those of the cache, and what is not known is said."""
    lay()
    manifests.path_of("demo").unlink()
    page = built(roots)
    assert "no manifest tells" in words(page / "index.html")
    assert "38 clips of 40" in words(next((page / "demo").glob("face_hog-*.html")))


def test_hostile_names_are_shown_as_they_are(roots, browser):
    """Ids, words and reasons that are HTML, or end a script, do nothing in a browser and can be searched for."""
    made = [*clips(8, 4, 4), Clip(id=HOSTILE, corpus="demo", split="test", text=HOSTILE, licence=OPEN)]
    manifests.write(Manifest("demo", Path("nowhere"), tuple(made)))
    folder = entry(made, "mfcc", lambda _: Windows.join(np.ones((2, 5, 4), np.float32), spans(2), [5, 5])).parent
    failures.record(folder, [Failure("gone", "s", HOSTILE, HOSTILE)])
    page = built(roots)
    for path in page.rglob("*.html"):
        opened = browser.open(path)
        assert opened.errors == []
        assert opened.run("document.querySelectorAll('img').length") == 0
    found = browser.open(page / "demo" / "index.html")
    find(found, "onerror")
    assert listed(found) == [HOSTILE]


def find(page, what):
    """Type into the field above the clips."""
    page.run(f"{{ const i = document.querySelector('.finder input'); i.value = {json.dumps(what)}; i.oninput(); }}")


def listed(page):
    """Return the clips that are shown."""
    return page.run("[...document.querySelectorAll('.finder tbody th')].map((cell) => cell.textContent)")


def many(count=230):
    """Fill a corpus of more clips than a sheet holds."""
    made = tuple(
        Clip(id=f"c{i:03}", corpus="demo", split="train" if i % 3 else "test", speaker_id=f"s{i % 7}", licence=OPEN)
        for i in range(count)
    )
    manifests.write(Manifest("demo", Path("nowhere"), made))
    rng = np.random.default_rng(0)
    entry(made, "mfcc", lambda _: Windows.join(rng.standard_normal((2, 5, 4)).astype(np.float32), spans(2), [5, 4]))
    return made


def test_a_reader_searches_sorts_and_turns_pages(roots, browser):
    """All clips can be searched and sorted though only some are drawn; each leads to its own place on its sheet."""
    many()
    page = browser.open(built(roots) / "demo" / "index.html")
    assert len(listed(page)) == 100
    page.run("document.querySelector('.further').click()")
    assert len(listed(page)) == 200
    find(page, "TEST s3")
    assert listed(page) == [f"c{i:03}" for i in range(230) if i % 3 == 0 and i % 7 == 3]
    assert page.run("document.querySelector('.finder output').textContent") == f"{len(listed(page))} of 230"
    find(page, "")
    page.run("document.querySelectorAll('.finder th button')[0].click()")
    page.run("document.querySelectorAll('.finder th button')[0].click()")
    assert listed(page)[0] == "c229"
    assert page.run("document.querySelector('.finder th[aria-sort]').getAttribute('aria-sort')") == "descending"
    target = page.run("document.querySelector('.finder tbody a').href")
    assert target.endswith("clips-003.html#c229")
    assert "c229" in browser.open(target).run("document.querySelector(':target h2').textContent")
    assert page.errors == []


def test_without_javascript_every_clip_can_be_reached(roots, browser):
    """The first clips stand in the page, and links turn from sheet to sheet."""
    many()
    folder = built(roots) / "demo"
    plain = browser.open(folder / "index.html", script=False)
    assert "c099" in plain.html
    assert 'href="clips-001.html"' in plain.html
    assert 'href="clips-002.html"' in (folder / "clips-001.html").read_text("utf-8")
    assert 'id="c229"' in (folder / "clips-003.html").read_text("utf-8")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_fits_a_phone_and_both_themes(roots, browser, dark):
    """No page is wider than a phone, asks for anything or has an error in the console; the button turns the theme."""
    lay()
    folder = built(roots)
    entry_page = next((folder / "demo").glob("face_hog-*.html"))
    for path in (folder / "index.html", folder / "demo/index.html", entry_page, folder / "demo/clips-001.html"):
        page = browser.open(path, width=PHONE, dark=dark)
        assert (page.overflow, page.errors, len(page.fetched)) == (0, [], 1), path.name
        before = page.run("getComputedStyle(document.body).backgroundColor")
        page.run("document.querySelector('.theme').click()")
        assert page.run("getComputedStyle(document.body).backgroundColor") != before
        page.run("localStorage.clear()")
        browser.open(path, dark=dark).keep(
            f"cache-{path.parent.name}-{path.stem.split('-')[0]}-{'dark' if dark else 'light'}"
        )


def test_a_keyboard_reaches_what_a_mouse_reaches(roots, browser):
    """Tab leads to the search field and to the button of each column, and Enter sorts."""
    many()
    page = browser.open(built(roots) / "demo" / "index.html")
    met = []
    for _ in range(14):
        page.press("Tab")
        met.append(page.run("(document.activeElement.tagName + ' ' + document.activeElement.textContent).trim()"))
    assert "INPUT" in met
    assert "BUTTON clip" in met
    page.run("document.querySelectorAll('.finder th button')[0].focus()")
    page.press("Enter")
    assert page.run("document.querySelector('.finder th').getAttribute('aria-sort')") == "ascending"
    unnamed = (
        "[...document.querySelectorAll('svg')].filter((one) => !one.querySelector('title') && !one.ariaHidden).length"
    )
    assert page.run(unnamed) == 0


def test_a_plain_web_server_serves_it(roots, browser):
    """What works from a disk works from a server, policies and all."""
    many()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(built(roots)))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.open(f"http://127.0.0.1:{server.server_port}/demo/index.html")
        find(page, "c07")
        assert listed(page) == [f"c07{i}" for i in range(10)]
        assert page.errors == []
        server.shutdown()


def test_made_again_it_loses_what_is_gone_and_nothing_else(roots):
    """Pages of what has left the cache are removed, what somebody laid beside stays, another's folder is refused."""
    lay()
    page = built(roots)
    (page / "mine.txt").write_text("mine")
    (old,) = (page / "demo").glob("face_hog-*.html")
    (folder,) = [folder for folder, key in entries("demo").items() if key.encoder == "face_hog"]
    folder.rename(roots / "away")
    built(roots)
    assert not old.exists()
    assert (page / "mine.txt").read_text() == "mine"
    (roots / "full").mkdir()
    (roots / "full" / "thesis.tex").write_text("years of work")
    with pytest.raises(CacheError, match="got something else"):
        site.write(roots / "full", (), quiet)
    assert [path.name for path in (roots / "full").iterdir()] == ["thesis.tex"]


def test_a_list_that_names_files_elsewhere_removes_none(roots):
    """What a damaged or planted list names outside of the page, or that is no page, is let alone."""
    lay()
    page = built(roots)
    (roots / "precious.html").write_text("precious")
    (page / "notes.txt").write_text("notes")
    (page / site.LIST).write_text(json.dumps(["../precious.html", "notes.txt", 7, str(roots / "precious.html")]))
    built(roots)
    assert (roots / "precious.html").read_text() == "precious"
    assert (page / "notes.txt").read_text() == "notes"


def test_drift_names_the_split_that_was_recorded_differently(roots):
    """A split whose features are shifted stands far above chance, the others do not."""
    made = tuple(
        Clip(id=f"{split}{i}", corpus="demo", split=split, licence=OPEN)
        for split, count in (("train", 120), ("dev", 60), ("test", 60))
        for i in range(count)
    )
    manifests.write(Manifest("demo", Path("nowhere"), made))
    rng = np.random.default_rng(0)
    shift = {"test": 1.0}

    def make(clip):
        values = rng.standard_normal((1, 1, 16)).astype(np.float32) + np.float32(shift.get(clip.split, 0))
        return Windows.join(values, [(0, 3)], [1])

    entry(made, "mfcc", make)
    page = next((built(roots) / "demo").glob("mfcc-*.html")).read_text("utf-8")
    times = {
        split: float(re.search(rf"<th[^>]*>{split}</th>.*?<td>([\d.]+)</td></tr>", page)[1])
        for split in ("dev", "test")
    }
    assert times["dev"] < 2
    assert times["test"] > 4


def test_odd_clips_are_listed(roots):
    """One that is all zero, and one that is the copy of another, stand where a reader looks first."""
    made = many(20)
    rng = np.random.default_rng(1)
    odd = {"c003": np.zeros((2, 5, 4), np.float32), "c005": np.ones((2, 5, 4), np.float32)}
    odd["c006"] = odd["c005"]
    usual = {clip.id: rng.standard_normal((2, 5, 4)).astype(np.float32) for clip in made}
    entry(made, "egemaps", lambda clip: Windows.join({**usual, **odd}[clip.id], spans(2), [5, 5]))
    said = words(next((built(roots) / "demo").glob("egemaps-*.html")))
    odd_ones = said[said.index("Odd clips") :]
    assert "c003 all zero" in odd_ones
    assert "c005 the same as c006" in odd_ones
    assert "c004" not in odd_ones


def test_only_whom_one_asks_for(roots, capsys):
    """The command shows the corpora that are named, and says which there are where one is not known."""
    lay()
    assert main(["page", "demo", "--out", str(roots / "page")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"page: {roots / 'page' / 'index.html'}"
    assert main(["page", "ravdess", "--out", str(roots / "other")]) == 2
    assert "it has: demo" in capsys.readouterr().err


def test_an_empty_cache_says_what_to_do(roots):
    """There is a page, and it names the command."""
    assert "make features CORPUS=demo" in words(built(roots) / "index.html")


def test_runs_are_listed_and_their_reports_shown_where_they_may(roots):
    """A run's score stands on the first page; its report lies beside only where labels may leave."""
    lay()
    assert main(["concat", "--corpus", "demo", "--seeds", "1", "--set", "train.epochs=2", "encoders.audio=mfcc"]) == 0
    page = built(roots)
    (report,) = (page / "runs").glob("*.html")
    assert f'href="runs/{report.name}"' in (page / "index.html").read_text("utf-8")
    (folder,) = (roots / "runs").glob("concat-*")
    (folder / "report.html").write_text("<script>alert(1)</script>" + report.read_text("utf-8"))
    page = built(roots)
    assert list((page / "runs").glob("*.html")) == []
    assert "the report is not here" in words(page / "index.html")
    (folder / "report.json").write_text("{")
    assert "No run is finished yet" in words(built(roots) / "index.html")


def test_what_is_measured_is_kept(roots):
    """Made again, no part is read again: the parts may be gone from the disk meanwhile but for their tables."""
    lay()
    folder = built(roots)
    kept = {path: path.stat().st_mtime_ns for path in (roots / "runs" / site.KEPT).rglob("*") if path.is_file()}
    assert kept
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".html", ".json"}
    built(roots)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_the_page_says_how_features_were_made(roots):
    """The key, the methods in words and the terms stand on the page of an entry."""
    lay()
    said = words(next((built(roots) / "demo").glob("mfcc-*.html")))
    assert "Features were computed with mfcc" in said
    assert "Terms of the encoder: MIT" in said
    assert folder_of("demo", next(key for key in entries("demo").values() if key.encoder == "mfcc")).name in said


def test_speakers_are_numbered_where_they_may_not_be_named(roots):
    """A speaker is the same number on every page."""
    rows = overview.read("demo", roots / "kept").rows if lay(CLOSED) else ()
    assert {row.speaker for row in rows[:8]} == {"speaker 1", "speaker 2"}
    assert {row.label for row in rows} == {""}
    assert of_cache.leaves(overview.read("demo", roots / "kept")) == "may leave the lab: nothing"


def test_a_damaged_entry_hides_no_other(roots):
    """It is named with the reason, and so is a single part that cannot be read."""
    made = lay()
    entry(made[:4], "mfcc", lambda _: Windows.join(np.ones((2, 5, 4), np.float32), spans(2), [5, 5]), "windows(3,2,2)")
    by_name = {key.encoder: folder for folder, key in entries("demo").items()}
    (part,) = by_name["face_hog"].glob("part-*.h5")
    part.write_bytes(part.read_bytes()[:300])
    (by_name["face_hog"] / "index.jsonl").unlink()
    parts = sorted(by_name["mfcc"].glob("part-*.h5"))
    parts[0].write_bytes(b"")
    page = built(roots)
    said = words(page / "demo" / "index.html")
    assert "Cannot be shown: face_hog-" in said
    assert "minilm-" in said
    assert str(roots) not in said
    (by_name["face_hog"] / "spec.json").write_text("{")
    said = words(built(roots) / "demo" / "index.html")
    assert "Cannot be shown: face_hog-" in said
    assert "minilm-" in said
    assert str(roots) not in said


def test_speech_and_faces_are_drawn_where_they_are(roots):
    """Of voice activity a bar is somebody speaking, of a detector a face; neither is compared with others."""
    made = many(2)
    entry(made, "silero", lambda _: Windows.join([np.array([[0.5, 1], [2, 4]], np.float32)], [(0, 5)], [2]))
    seen = [np.ones((count, 5), np.float32) for count in (1, 1, 0, 1)]
    entry(made, "mtcnn", lambda _: Windows.join(seen, [(i, i + 1) for i in range(4)], [1, 1, 0, 1]))
    sheet = (built(roots) / "demo" / "clips-001.html").read_text("utf-8")
    one = sheet[sheet.index('id="c0"') : sheet.index('id="c1"')]
    assert one.count("<rect") == 2 + 2 + 2  # windows of mfcc, stretches of speech, stretches with a face
    assert "silero-" in one
    assert "Most alike by silero" not in one
