"""A page is one file that asks for nothing, shows text from outside as text, and is right without JavaScript."""

from html.parser import HTMLParser

import pytest

from fuse.pages import page

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\x1b[2J\u202e"


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes, and its text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        """Keep a tag."""
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        """Keep a text."""
        self.words.append(data)


def test_text_from_outside_stays_text():
    """Titles, cells, captions, notes, code and labels with markup in them make no tag, and nothing steers a screen."""
    made = page.document(
        HOSTILE,
        page.note(HOSTILE, HOSTILE) + page.paragraph(HOSTILE, about=HOSTILE) + page.code(HOSTILE),
        [
            page.Section("One", page.table([HOSTILE, "n"], [[HOSTILE, "1"]], 1, caption=HOSTILE, name="t")),
            page.Section("Two", page.figure(HOSTILE, HOSTILE, page.search("t", HOSTILE) + page.folded(HOSTILE, ""))),
            page.Section("Three", page.items([f"- `{HOSTILE}`: {HOSTILE}"])),
        ],
    )
    found = Tags(made)
    assert {tag for tag, _ in found.tags}.isdisjoint({"img", "iframe", "object", "base"})
    assert sum(tag == "script" for tag, _ in found.tags) == 1
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert "alert(1)" in "".join(found.words)


def test_nothing_is_asked_for():
    """No address stands in a page of its own but the empty icon, and its policy allows nothing to be fetched."""
    made = page.document("title", "", [page.Section("A b", "")])
    addresses = [a[key] for _, a in Tags(made).tags for key in ("href", "src", "action") if key in a]
    assert set(addresses) == {"data:,", "#main", "#a-b"}
    assert "default-src 'none'" in made
    assert "http" not in made.replace("http-equiv", "")


def test_tables_name_their_rows_and_hide_what_repeats():
    """The last word heads its row, a repeated word is still there for the ear, and a strong row is marked."""
    rows = [["emotion", "majority", "1.0"], ["emotion", "mine", "2.0"], ["sentiment", "mine", "3.0"]]
    made = page.table(["task", "line", "acc"], rows, 2, caption="Scores", strong="mine")
    assert made.count('<th scope="row" class="word">') == 3
    assert '<td class="word again">emotion</td>' in made
    assert made.count('class="strong') == 2
    assert '<tr class="strong group"><td class="word">sentiment' in made
    assert "again" not in page.table(["task", "line", "acc"], rows, 2, name="t")


@pytest.mark.parametrize(("title", "anchor"), [("At a glance", "at-a-glance"), ("A, b & c", "a-b-c")])
def test_anchors(title, anchor):
    """A headline is linked by its letters."""
    assert page.Section(title, "").anchor == anchor
