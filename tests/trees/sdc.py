"""SDC as it might lie in a lab: folders named after the emotion in Arabic, one of them with a folder in between."""

import tree_kit

FUSE = ("tasks=emotion4", "protocol=random", "folds=4")
FOLDERS = {"غاضب": "anger", "سعيد": "happy", "محايد/نساء": "neutral", "حزين": "sad"}
CLIPS_EACH = 4


def lay(root):
    """Lay down sixteen clips, and what belongs to no emotion."""
    for place, folder in enumerate(FOLDERS):
        for number in range(CLIPS_EACH):
            tree_kit.wav(root / folder / f"مقطع {number}.wav", seconds=0.5, hz=150 + 60 * place + 10 * number)
    tree_kit.lay(
        root,
        {
            "غاضب/._مقطع 0.wav": tree_kit.FORK,
            "غاضب/empty.wav": b"",
            "غاضب/Thumbs.db": b"\0",
            "unsorted/clip.wav": b"RIFF, of no emotion",
            "notes.txt": "from Telfaz11",
        },
    )
