"""How conv-emotion numbers the dialogues and utterances of MELD.

Dialogues are numbered on through train, dev and test; utterances are those of MELD's tables, which leave some numbers
out. Files without numbers hold the utterances in order.
"""

import itertools
import re

FIRST = {"train": 0, "dev": 1039, "test": 1153}
"""The number of the first dialogue of each split; train has no dialogue 60."""
END = 1433
LEFT_OUT = {
    "train": "1:6,7 3:7 29:5 47:10 57:0 62:4 66:0 67:4 82:8 89:3,13,14 98:0 107:3 109:2 120:5,6 121:3 135:3 136:3 "
    "151:4,5,14 152:2,3 158:0,5 160:9 172:2,9 173:9 176:3 180:1,2,3 188:1 189:11 202:10,11 208:13 211:4 218:0 222:10 "
    "226:14,15,16 234:0,7 236:8 244:2 248:2 249:12 252:11,12 276:1 285:12 289:0 300:13 301:5 314:6 336:5 339:2 344:5 "
    "348:3 357:0 359:2 373:0,2 404:16 414:5 416:3 424:13 438:6 462:2,4 472:0 499:13,14 508:1 540:4 548:8,9 558:7 "
    "572:4,5 739:8,9 812:6,7 827:9,10 839:9,10 842:8,9 886:18,19 1022:13,14",
    "dev": "49:4,5 66:9,10",
    "test": "93:5,6,7 108:1,2",
}
"""Numbers of utterances that no table has, by dialogue of a split."""


def split_of(dialogue: int) -> str:
    """Return the split of a dialogue by its number."""
    return next(split for split, first in reversed(FIRST.items()) if dialogue >= first)


def name_of(dialogue: int) -> str:
    """Return what a dialogue is called here by its number."""
    split = split_of(dialogue)
    return f"{split}_dia{dialogue - FIRST[split]}"


def number_of(name: str) -> int | None:
    """Return the number of a dialogue by its name; nothing where it is none of MELD."""
    parts = re.fullmatch(r"(train|dev|test)_dia(0|[1-9]\d{0,3})", name, re.ASCII)
    number = FIRST[parts[1]] + int(parts[2]) if parts else END
    return number if parts and number < END and split_of(number) == parts[1] else None


def utterances(dialogue: int, count: int) -> list[int]:
    """Return the numbers of the first utterances of a dialogue."""
    split = split_of(dialogue)
    listed = dict(entry.split(":") for entry in LEFT_OUT[split].split())
    without = {int(number) for number in listed.get(str(dialogue - FIRST[split]), "").split(",") if number}
    return list(itertools.islice((number for number in itertools.count() if number not in without), count))
