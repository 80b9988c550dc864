"""A lab's own corpus: a spreadsheet's table with its words and columns, films, sounds and parts of a long recording."""

import tree_kit

FUSE = ("tasks=emotion",)
OPTIONS = {
    "columns": "emotion=Rated_as,path=file_name",
    "words": "ang=anger,Freude=happy,neu=neutral,oth=",
    "language": "de",
    "licence": "our lab",
    "shared": "labels, features",
}
WORDS = ("ang", "Freude", "neu", "Sadness")
SPLITS = ("Train", "validation", "TEST")
HEAD = "ID;File Name;Rated as;Split;Speaker;Gender;Text;start;end;Room"


def rows():
    """Return the rows that have media: four emotions a split, the last of each a part of a long recording."""
    for split in SPLITS:
        for number, word in enumerate(WORDS):
            part = number == len(WORDS) - 1
            name = {0: f"films/{split}, {number}.mp4", 1: f"sounds\\{split} {number}.WAV", 2: f"{split} {number}"}
            path, times = ("sounds/long.flac.wav", "0.4;0.8") if part else (name[number], ";")
            text = f'"Ich sagte ""{word}""; wirklich."'
            yield f"{split}{number};{path};{word};{split};s-{split};{'f' if number % 2 else 'male'};{text};{times};4.12"


def lay(root):
    """Lay down the table and its media; a row without, one of no label, media without a row."""
    for split in SPLITS:
        tree_kit.film(root / f"films/{split}, 0.mp4", hz=200)
        tree_kit.wav(root / f"sounds/{split} 1.wav", hz=300)
        tree_kit.wav(root / f"sounds/{split} 2.wav", hz=400)
    tree_kit.wav(root / "sounds/long.flac.wav", seconds=1.0, hz=500)
    more = (
        "gone;films/gone.mp4;neu;Train;s-Train;f;Da.;;;",
        "lfs;sounds/lfs.wav;neu;Train;s-Train;;;;;4.13",
        "other;sounds/Train 1.wav;oth;Train;s-Train;f;Hm.;0.1;0.5;",
        ";;;;;;;;;",
    )
    tree_kit.lay(
        root,
        {
            "Clips.csv": "\N{ZERO WIDTH NO-BREAK SPACE}" + "\r\n".join((HEAD, *rows(), *more)) + "\r\n",
            "._Clips.csv": tree_kit.FORK,
            "sounds/lfs.wav": tree_kit.LFS,
            "sounds/nobody.wav": b"RIFF, of no row",
            "sounds/.DS_Store": b"\0",
            "ReadMe.txt": "Ours.",
        },
    )
