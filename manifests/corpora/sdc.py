"""SDC, the Saudi Dialect Corpus: 175 clips of Arabic from YouTube, angry, happy, neutral and sad; eleven minutes.

Aljuhani, Alshutayri and Alahdal 2021, IEEE Access. Sound alone; 113 clips of men, 62 of women.

Licence: nothing is published, neither the data nor terms; everything stays inside the lab, labels included.

Layout: nobody outside the authors' labs has seen it, so it is read as any lab's own data are (see `folder`): folders
named after the emotion, in English or Arabic, or a table with at least the columns path and emotion, and perhaps
speaker, sex and split.

Options:
- table, columns and words, as of `folder`: words=زعل=sad adds what a word means.

Quirks:
- The counts of the paper are only a warning: which clips a copy holds is not known.
"""

from collections.abc import Iterator

from manifests import Clip
from manifests.corpora import _own as own
from manifests.corpora.folder import meanings, read
from manifests.licence import Licence
from manifests.tree import Tree

LICENCE = Licence("SDC, unpublished")
TREE = """\
ROOT/                     folders named after the emotion, or
  angry/clip1.wav
  سعيد/clip2.wav
ROOT/                     a table
  sdc.csv                 path,emotion[,speaker,sex,split]
  clips/clip1.wav"""
BIBTEX = """\
@article{aljuhani2021arabic, doi = {10.1109/ACCESS.2021.3110992}, year = {2021}, volume = {9}, pages = {127081--127085},
  title = {Arabic Speech Emotion Recognition From {Saudi} Dialect Corpus}, journal = {IEEE Access},
  author = {Aljuhani, Reem Hamed and Alshutayri, Areej and Alahdal, Shahd}}"""
PUBLISHED = 175
# The adjective of a man, that of a woman, the noun; what is said in Saudi Arabia last.
ARABIC = {
    "anger": "غاضب غاضبة غضب الغضب معصب",
    "happy": "سعيد سعيدة سعادة السعادة فرح فرحان",
    "neutral": "محايد محايدة حيادي حياد طبيعي",
    "sad": "حزين حزينة حزن الحزن زعلان",
}


def clips(tree: Tree, *, table: str = "", columns: str = "", words: str = "") -> Iterator[Clip]:
    """Yield every clip, whichever way it lies there."""
    arabic = {own.plain(word): emotion for emotion, said in ARABIC.items() for word in said.split()}
    said = own.Said(
        corpus="sdc",
        licence=LICENCE,
        language="ar",
        table=table,
        columns=own.pairs("columns", columns, "emotion=Label,path=file_name"),
        words=arabic | meanings(words),
    )
    found = list(read(tree, said))
    if len(found) != PUBLISHED:
        tree.warn(f"{len(found)} clips; the paper has {PUBLISHED}: 69 angry, 31 happy, 37 neutral, 38 sad")
    yield from found
