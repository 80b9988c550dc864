"""RAMAS in small: two recordings on each of three days, whose raters agree, disagree, and see nothing."""

import tree_kit

FUSE = ("tasks=emotion", "protocol=sessions")
COLUMNS = (
    "Time Angry Sad Disgusted Happy Scared Surprised Neutral Shame Tiredness Domination Submission Annotator".split()
)
DAYS = ("10dec", "21dec", "22dec")
TWICE = ("Angry", "Angry")
AGREED = (TWICE, ("Angry", "Neutral", "Angry"), ("Happy", "Happy"), ("Happy", "Happy", "Sad"))
"""What raters saw in each second of a plain recording, one word a rater."""
MIXED = (
    ("Sad", "Sad"),
    ("Sad", "Sad", "Domination", "Domination", "Domination"),
    ("Happy",),
    ("Angry", "Scared"),
    ("Angry", "Scared", "Sad", "Angry", "Scared"),
    ("Submission", "Shame"),
    ("Neutral", "Neutral"),
    ("Neutral",),
)


def votes(seconds, first_s=0.0, delimiter=",", columns=COLUMNS):
    """Return the table of one recording: a row for each second and rater."""
    lines = [delimiter.join(columns)]
    for second, words in enumerate(seconds):
        for rater, word in enumerate(words, start=1):
            row = {"Time": f"{first_s + second:.2f}", "Annotator": str(rater), word: "1"}
            if delimiter == ";":
                row["Time"] = row["Time"].replace(".", ",")
            lines.append(delimiter.join(row.get(column, "0") for column in columns))
    return "\n".join(lines) + "\n"


def intervals(*rows, delimiter=","):
    """Return the table of one emotion, of (recording, start, end)."""
    lines = [delimiter.join(("ID", "File", "Start", "End"))]
    lines += [delimiter.join(map(str, (number, *row))) for number, row in enumerate(rows, start=1)]
    return "\n".join(lines) + "\n"


def lay(root):
    """Lay down the release in the folder that its archive makes."""
    top = root / "RAMAS" / "RAMAS"
    for number, day in enumerate(DAYS):
        delimiter = ";" if day == "21dec" else ","
        plain = votes(AGREED, 0.3 * number, delimiter)
        tree_kit.lay(
            top / "Annotations_by_files",
            {
                f"{day}_O11_1_ann.csv": b"\xef\xbb\xbf" + plain.encode() if day == "22dec" else plain,
                f"{day}_D2_2_ann.csv": votes(MIXED, -0.4 if day == "10dec" else 0.25),
                f"._{day}_O11_1_ann.csv": tree_kit.FORK,
            },
        )
        for base, seconds in ((f"{day}_O11_1", 5), (f"{day}_D2_2", 8)):
            tree_kit.wav(top / "Data/Audio" / f"{base}_mic.wav", seconds, hz=200 + 30 * number)
            tree_kit.film(top / "Data/Video_close" / f"{base}_Video.mp4", seconds, sound=False)
            tree_kit.lay(
                top / "Data", {f"Shimmers/{base}_Shimmer.csv": "", f"Kinect_skeleton/{base}_Kinect.csv": "0\n"}
            )
    tree_kit.film(top / "Data/Video_web/10dec_O11_1_web.mp4", 0.6, faces=2)
    tree_kit.wav(top / "Data/Audio/10dec_O12_1_mic.wav")
    tree_kit.lay(
        top,
        {
            "Annotations_by_files/22dec_S4_1_ann.csv": votes((("Surprised", "Disgusted", "Surprised"),) * 3),
            "Annotations_by_files/22dec_S4_2_ann.csv": votes(()),
            "Data/Audio/22dec_S4_1_mic.wav": tree_kit.LFS,
            "Annotations_by_emotions/data_Angry.csv": intervals(
                ("10dec_O11_1", 0, 1.75), ("21dec_O11_1", 1, 3), ("10dec_O11_1", -0.5, 1.5), ("10dec_O11_1", 0, 1.75)
            ),
            "Annotations_by_emotions/data_Happy.csv": intervals(
                ("10dec_O11_1", "2,0", "4,5"), ("10DEC_O11_1", 0, "1,75"), ("10dec_O11_1", 3, "3,5"), delimiter=";"
            ),
            "Annotations_by_emotions/data_Surprised.csv": intervals(("22dec_S4_1", 3, 2), ("22dec_S4_1", -3, -1)),
            "Annotations_by_emotions/data_Domination.csv": intervals(("10dec_O11_1", 0, 4)),
        },
    )
