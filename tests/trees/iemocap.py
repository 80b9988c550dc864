"""IEMOCAP in small: one dialogue of four classes in each of its five sessions, and every habit of its files."""

import numpy as np
import tree_kit

FUSE = ("tasks=emotion4", "protocol=sessions")
DIALOGUES = ("Ses01F_impro01", "Ses02F_script01_1", "Ses03M_impro05a", "Ses04M_script02_2", "Ses05M_script01_1b")
UNSEEN = "Ses01M_impro02"
SECONDS = 0.4
TURNS = (("F000", "neu"), ("M000", "hap"), ("F001", "sad"), ("M001", "ang"))
COLUMNS = {"rotated": 165, "hand": 18, "head": 6}
ROWS_HZ = 120
HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
WORDS = {"neu": "Neutral", "hap": "Happiness", "exc": "Excited", "sad": "Sadness", "ang": "Anger", "fru": "Frustration"}


def turn(name, emotion, start_s, end_s, ratings="2.5000, 3.0000, 3.5000", raters=None):
    """Return the lines of one turn; three raters agree where nothing else is said."""
    words = raters or (f"{WORDS.get(emotion, 'Other')};",) * 3
    lines = [f"[{start_s:.4f} - {end_s:.4f}]\t{name}\t{emotion}\t[{ratings}]"]
    lines += [f"C-E{number}:\t{word}\t()" for number, word in enumerate(words, start=2)]
    speaker = name.rpartition("_")[2][0]
    lines += [f"C-{speaker}1:\tDisgust;\t(of themselves)", "A-E3:\tval 3; act 3; dom  3;\t()"]
    return "\n".join([*lines, f"A-{speaker}1:\tval 1; act 1;\t()", "", ""])


def dialogue(name, turns=TURNS):
    """Return the evaluation of one dialogue, and its transcript."""
    spans = [(f"{name}_{tail}", emotion, place * SECONDS) for place, (tail, emotion) in enumerate(turns)]
    rated = HEAD + "".join(turn(turn_id, emotion, at_s, at_s + SECONDS) for turn_id, emotion, at_s in spans)
    said = "".join(
        f"{turn_id} [{at_s:08.4f}-{at_s + SECONDS:08.4f}]: Say {emotion}.\n" for turn_id, emotion, at_s in spans
    )
    return rated, said


def markers(of, seed, seconds=SECONDS):
    """Return a table of motion capture: two lines of head, 120 rows a second, and now and then a hidden marker."""
    rng, columns = np.random.default_rng([seed, COLUMNS[of]]), COLUMNS[of]
    values = rng.normal(0, 50, columns) + rng.normal(0, 1, (round(seconds * ROWS_HZ), columns)).cumsum(axis=0)
    values[rng.random((len(values), columns // 3)).repeat(3, axis=1) < 0.02] = np.nan
    names = "pitch roll yaw tra_x tra_y tra_z" if of == "head" else " ".join(f"M{i}" for i in range(columns // 3))
    rows = (
        f"{i + 1} {i / ROWS_HZ:.5f} " + " ".join("NaN" if np.isnan(value) else f"{value:.2f}" for value in row)
        for i, row in enumerate(values)
    )
    return "\n".join([f"Frame# Time {names}", "X Y Z " * (columns // 3), *rows, ""])


def lay(root):
    """Lay down the full release, with its wrapper folder."""
    top = root / "IEMOCAP_full_release"
    for name in DIALOGUES:
        session = f"Session{name[4]}"
        rated, said = dialogue(
            name, [(tail, "exc" if name[4] in "35" and word == "hap" else word) for tail, word in TURNS]
        )
        tree_kit.lay(
            top / session / "dialog",
            {
                f"EmoEvaluation/{name}.txt": rated,
                f"EmoEvaluation/._{name}.txt": tree_kit.FORK,
                f"EmoEvaluation/Categorical/{name}_e2_cat.txt": f"{name}_F000 :Anger; ()\n",
                f"EmoEvaluation/Attribute/{name}_e1.anvil": "<annotation/>",
                f"EmoEvaluation/Self-evaluation/{name}_f1.txt": f"{name}_F000 :Anger; ()\n",
                f"transcriptions/{name}.txt": said,
                f"lab/F/{name}.lab": "0 1 x\n",
            },
        )
        tree_kit.film(top / session / "dialog/avi/DivX" / f"{name}.avi", len(TURNS) * SECONDS, faces=2)
        tree_kit.lay(top / session / "dialog/avi/DivX", {f"._{name}.avi": tree_kit.FORK})
        tree_kit.wav(top / session / "dialog/wav" / f"{name}.wav", len(TURNS) * SECONDS, channels=2)
        for number, (tail, _) in enumerate(TURNS):
            tree_kit.wav(top / session / "sentences/wav" / name / f"{name}_{tail}.wav", SECONDS, hz=220 + 20 * number)
            tables = {f"MOCAP_{of}/{name}/{name}_{tail}.txt": markers(of, 10 * int(name[4]) + number) for of in COLUMNS}
            tree_kit.lay(top / session / "sentences", tables)
    tree_kit.lay(top.parent, {"._IEMOCAP_full_release": tree_kit.FORK, "IEMOCAP_full_release/README.txt": "Hello.\n"})
    _lay_unseen(top / "Session1")


def _lay_unseen(session):
    """Add a dialogue without a film, in which every turn has a quirk of its own."""
    raters = ("Neutral;", "Neutral; Frustration;", "Frustration;", "Anger;")
    rated = [
        turn(f"{UNSEEN}_M001", "xxx", 1.9, 2.5, "2.6667, 2.3333, 2.0000", raters),
        turn(f"{UNSEEN}_F000", "fru", 0.5, 1.1, "2.0000, 3.0000"),
        turn(f"{UNSEEN}_M000", "sur", 0.5, 1.3, "3.0000, 4.5000, NaN", ("Surprise;",) * 3),
        turn(f"{UNSEEN}_F001", "oth", 1.2, 1.9),
        turn(f"{UNSEEN}_F002", "fea", 2.6, 3.0, "1.0, 5.0, 1.5", ("Fear;",) * 3),
        turn(f"{UNSEEN}_F003", "dis", 3.1, 3.5, "1.0, 5.0, 1.5", ("Disgust;",) * 3),
    ]
    said = [
        f"{UNSEEN}_F000 [000.5000-001.1000]: [LAUGHTER] It's 5 o'clock: go!",
        f"{UNSEEN}_M000 [000.5000-001.3000]: ",
        f"{UNSEEN}_MXX0 [001.1000-001.2000]: Mhm.",
        f"{UNSEEN}_MXX0 [001.3000-001.4000]: Mhm.",
        "M: And nobody timed this.",
        f"{UNSEEN}_M001 [001.9000-002.5000]: One.",
        f"{UNSEEN}_M001 [001.9000-002.5000]: Two.",
        f"{UNSEEN}_M009 [009.0000-009.5000]: Nobody rated this.",
    ]
    tree_kit.lay(
        session,
        {
            f"dialog/EmoEvaluation/{UNSEEN}.txt": (HEAD + "\n".join(rated)).replace("\n", "\r\n"),
            "dialog/EmoEvaluation/notes.txt": "Not a dialogue.\n",
            f"dialog/transcriptions/{UNSEEN}.txt": "\n".join(said),
            f"sentences/wav/{UNSEEN}/{UNSEEN}_F001.wav": tree_kit.LFS,
            f"sentences/wav/{UNSEEN}/{UNSEEN}_F002.wav": b"",
            f"sentences/wav/{UNSEEN}/._{UNSEEN}_F000.wav": tree_kit.FORK,
            f"sentences/MOCAP_head/{UNSEEN}/{UNSEEN}_F000.txt": markers("head", 0),
            f"sentences/MOCAP_head/{UNSEEN}/._{UNSEEN}_F000.txt": tree_kit.FORK,
        },
    )
    for tail in ("F000", "M000", "M001", "M008"):
        tree_kit.wav(session / "sentences/wav" / UNSEEN / f"{UNSEEN}_{tail}.wav", SECONDS)
