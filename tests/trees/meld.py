"""MELD as its archives unpack: two generations of tables, 5.1 sound, gaps, re-cuts, what did not arrive or decode."""
# ruff: noqa: RUF001 - typographic quotes and dashes are what these tables are about

import csv
import io

import tree_kit

FUSE = ()
COLUMNS = (
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
)
DYADIC = (*COLUMNS[1:7], "Old_Dialogue_ID", "Old_Utterance_ID", *COLUMNS[7:])
CELLS = ("1", "Hi.", "Joey", "joy", "positive", "0", "0", "1", "1", "0:00:01,000", "0:00:02,000")
FOLDERS = {
    "train": "MELD.Raw/train/train_splits",
    "dev": "MELD.Raw/dev_splits_complete",
    "test": "MELD.Raw/output_repeated_splits_test",
}
TABLES = {split: f"MELD.Raw/{'train/' if split == 'train' else ''}{split}_sent_emo.csv" for split in FOLDERS}
FELT = (("joy", "positive"), ("anger", "negative"), ("neutral", "neutral"))
DIALOGUES = {
    "train": {0: (0, 1, 3), 1: (0, 1, 2, 4), 2: (0, 1), 125: (2, 3, 4, 5)},
    "dev": {0: (0, 1, 2), 110: (7,)},
    "test": {0: (0, 2, 3), 38: (4,)},
}
"""The utterances of each; train dia0_utt2 and test dia0_utt1 are gaps."""
SAID = {split: [(d, u) for d, said in dialogues.items() for u in said] for split, dialogues in DIALOGUES.items()}
STUB, EMPTY, GARBAGE = "train_dia125_utt4", "train_dia125_utt5", "train_dia125_utt3"
WITHOUT_FILE = (STUB, EMPTY, "dev_dia110_utt7")
STEREO = "train_dia1_utt2"


def lay(root):
    """Lay down 21 utterances, 17 of which can be seen and heard, and what belongs to none."""
    number = 0
    for split, said in SAID.items():
        for dialogue, utterance in said:
            number += 1
            name = f"{split}_dia{dialogue}_utt{utterance}"
            if name not in (*WITHOUT_FILE, GARBAGE):
                layout = "stereo" if name == STEREO else "5.1"
                place = root / FOLDERS[split] / f"dia{dialogue}_utt{utterance}.mp4"
                tree_kit.film(place, seconds=0.5, hz=150 + 15 * number, layout=layout)
    tree_kit.film(root / FOLDERS["test"] / "final_videos_testdia0_utt0.mp4", seconds=0.4)
    tree_kit.film(root / FOLDERS["dev"] / "dia49_utt4.mp4", seconds=0.4)  # of a gap: nobody labelled it
    old = {"Utterance": "I\u0092m here\u0085\u00a0 \u0097 \u0091no\u0092", "Speaker": "Joey\u0092s Date"}
    new = {"Utterance": "I’m here… — ‘no’", "EndTime": "00:00:02,05"}
    tree_kit.lay(
        root,
        {
            TABLES["train"]: _rows("train", old, line_end="\n"),
            TABLES["dev"]: _rows("dev", new),
            TABLES["test"]: _rows("test", new, last={"EndTime": "0:05:05,941"}),
            f"{FOLDERS['train']}/dia125_utt3.mp4": b"\0\0\0\x18ftypmp42 and nothing that decodes" * 9,
            f"{FOLDERS['train']}/dia125_utt4.mp4": tree_kit.LFS,
            f"{FOLDERS['train']}/dia125_utt5.mp4": b"",
            f"{FOLDERS['train']}/._dia0_utt0.mp4": tree_kit.FORK,
            "MELD.Raw/._train": tree_kit.FORK,
            "MELD.Raw/.DS_Store": b"\0",
            "MELD.Raw/README.txt": "Not ours.\n",
        },
    )


def table(*rows, columns=COLUMNS, encoding="utf-8", line_end="\r\n"):
    """Return the bytes of a table; a row names only the cells that matter."""
    usual = dict(zip(COLUMNS, CELLS, strict=True))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator=line_end, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({**usual, **row} for row in rows)
    return file.getvalue().encode(encoding)


def _rows(split, first, last=None, line_end="\r\n"):
    rows = []
    for number, (dialogue, utterance) in enumerate(SAID[split]):
        emotion, sentiment = FELT[number % len(FELT)]
        rows.append({"Emotion": emotion, "Sentiment": sentiment, "Dialogue_ID": dialogue, "Utterance_ID": utterance})
    rows[0] |= first
    rows[-1] |= last or {}
    return table(*rows, line_end=line_end)
