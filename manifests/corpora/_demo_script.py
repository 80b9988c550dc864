"""Who says what, how and with which face in the demo corpus: the design, without any media.

Every pair of speakers goes once through the eight settings of words, voice and face, so the three are balanced and
independent of each other within every pair, hence within every split; each speaker has every setting twice.
An emotion needs all three, so no single modality can tell the seven apart.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

Split = Literal["train", "dev", "test"]
FPS = 25
# A pair is two speakers and eight clips.
SPLIT_OF_PAIR: tuple[Split, ...] = ("train",) * 4 + ("dev",) * 2 + ("test",) * 2
# Turn of each pair's eight at which its second dialogue begins, so dialogues have three to five turns.
SECOND_DIALOGUE_AT = (5, 4, 3, 4, 5, 3, 4, 5)
# Some below 2 s, one of exactly 3 s, some with several 3 s windows. A pair gives the length at `setting ^ mask` to a
# setting; masks come in complements, so within a split each length falls as often on either side of every factor.
LENGTHS_S = (1.4, 2.2, 2.6, 3.0, 6.2, 3.4, 2.2, 3.6)
LENGTH_MASKS = (0, 7, 1, 6, 2, 5, 3, 4)
RATES_HZ = (16_000, 48_000, 16_000, 48_000)
CHANNELS = (1, 2, 2, 1)

BRIGHT = (
    "What a beautiful morning, I love it.",
    "Our team won the cup and we are so proud.",
    "I got the job of my dreams today.",
    "Thank you, that was a truly delicious dinner.",
    "My sister had a lovely, healthy baby.",
    "This is the best holiday we ever had.",
    "The garden is full of wonderful flowers.",
    "You did a brilliant job, congratulations.",
    "I am so glad that you came to visit us.",
    "The children laughed and danced all evening.",
    "We finally bought the perfect little house.",
    "Your kind letter made my whole week.",
    "The doctor says I am completely healthy again.",
    "That was the funniest and sweetest film I know.",
    "My friends threw me a marvellous party.",
    "I adore this song, it always cheers me up.",
    "Great news, they said yes to our wedding plans.",
    "The puppy is adorable and loves to play.",
    "I passed the exam with the highest marks.",
    "Such a delightful surprise, thank you all.",
    "Everything went perfectly at the concert.",
    "We enjoyed a glorious, sunny day at the beach.",
    "It is wonderful to see you smile again.",
    "Grandma is happy and full of energy.",
    "I love how warm and friendly everybody is.",
    "The new school is excellent, we are thrilled.",
    "They gave us a splendid and generous gift.",
    "I feel lucky, life is good to me.",
    "What a fantastic goal, we are the champions.",
    "The cake tastes amazing, you are a great cook.",
    "My best friend is coming home, I am delighted.",
    "It was a joyful and peaceful celebration.",
)
DARK = (
    "What a horrible morning, I hate it.",
    "We lost everything in the fire.",
    "They fired me without any reason today.",
    "That rotten food made all of us sick.",
    "My poor brother died in the accident.",
    "This is the worst trip we ever had.",
    "The kitchen is full of filthy rats.",
    "You ruined it, this is a disaster.",
    "I am so lonely since she left me.",
    "The children cried and screamed in pain.",
    "We were cheated and lost our home.",
    "Your cruel letter broke my heart.",
    "The doctor says the illness is deadly.",
    "That was a disgusting and violent crime.",
    "My friends betrayed me and told lies.",
    "I hate this noise, it is unbearable.",
    "Terrible news, the bridge collapsed and people died.",
    "The dog is badly injured and suffering.",
    "I failed the exam and feel worthless.",
    "Such an awful tragedy, nobody survived.",
    "Everything went wrong at the funeral.",
    "We suffered a dreadful storm and lost the boat.",
    "It is painful to see you cry again.",
    "Grandpa is dying and nobody can help.",
    "I hate how cruel and nasty everybody is.",
    "The prison is a nightmare, we are in despair.",
    "They stole our money and beat my father.",
    "I feel miserable, my life is ruined.",
    "What a shameful defeat, we are hopeless.",
    "The soup tastes revolting, it smells of death.",
    "My worst enemy is back, I am terrified.",
    "It was a brutal and bloody war.",
)


@dataclass(frozen=True)
class Speaker:
    """One made-up person: a voice, a recording set-up and a variant of the one portrait."""

    id: str
    sex: Literal["f", "m"]
    pitch_hz: float
    formant_scale: float
    rate_hz: int
    channels: int
    zoom: float
    flip: bool
    tint: tuple[float, float, float]


@dataclass(frozen=True)
class Script:
    """Everything that decides one clip."""

    clip_id: str
    split: Split
    dialogue_id: str
    utt_index: int
    speaker: Speaker
    words: Literal["bright", "dark"]
    voice: Literal["calm", "excited"]
    face: Literal["open", "tense"]
    length_s: float
    text: str

    @property
    def path(self) -> str:
        """Return where the clip lies below the corpus root."""
        return f"clips/{self.clip_id}.mp4"

    @property
    def speaker_id(self) -> str:
        """Return who speaks."""
        return self.speaker.id

    @property
    def sex(self) -> str:
        """Return the sex of who speaks."""
        return self.speaker.sex

    @property
    def emotion(self) -> str:
        """Return the emotion that words, voice and face make together."""
        if self.words == "bright":
            return "neutral" if self.voice == "calm" else {"tense": "happy", "open": "surprise"}[self.face]
        if self.voice == "calm":
            return {"tense": "sad", "open": "disgust"}[self.face]
        return {"tense": "anger", "open": "fear"}[self.face]

    @property
    def sentiment(self) -> str:
        """Return the sentiment that belongs to the emotion."""
        return {"neutral": "neutral", "happy": "positive", "surprise": "positive"}.get(self.emotion, "negative")


def generator(name: str) -> np.random.Generator:
    """Return a random source that depends on nothing but `name`."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))


def speaker(number: int) -> Speaker:
    """Make up the person of this number; every pair has a woman and a man."""
    name = f"s{number:02d}"
    rng = generator(f"demo speaker {name}")
    woman = number % 2 == 0
    red, green, blue = rng.uniform(0.8, 1.15, 3)
    return Speaker(
        id=name,
        sex="f" if woman else "m",
        pitch_hz=float(rng.uniform(180, 225) if woman else rng.uniform(95, 130)),
        formant_scale=float(rng.uniform(1.1, 1.2) if woman else rng.uniform(0.94, 1.04)),
        rate_hz=RATES_HZ[number % 4],
        channels=CHANNELS[number % 4],
        zoom=float(rng.uniform(0.92, 1.12)),
        flip=bool(rng.random() < 0.5),
        tint=(float(red), float(green), float(blue)),
    )


def scripts() -> Iterator[Script]:
    """Yield the script of every clip, dialogue by dialogue."""
    for pair, split in enumerate(SPLIT_OF_PAIR):
        yield from _pair(pair, split)


def _pair(pair: int, split: Split) -> Iterator[Script]:
    """Yield two dialogues in which two speakers take turns through all eight settings."""
    # Settings of even parity go to one speaker, of odd parity to the other: each then has every factor twice each way.
    rng = generator(f"demo pair {pair}")
    halves = [rng.permutation([0, 3, 5, 6]), rng.permutation([1, 2, 4, 7])]
    if rng.random() < 0.5:
        halves.reverse()
    sentences = {"bright": iter(BRIGHT[4 * pair :]), "dark": iter(DARK[4 * pair :])}
    for turn in range(8):
        setting = int(halves[turn % 2][turn // 2])
        second = turn >= SECOND_DIALOGUE_AT[pair]
        dialogue = f"d{2 * pair + second:02d}"
        place = turn - SECOND_DIALOGUE_AT[pair] * second
        words: Literal["bright", "dark"] = "dark" if setting & 4 else "bright"
        yield Script(
            clip_id=f"demo_{dialogue}_u{place:02d}",
            split=split,
            dialogue_id=dialogue,
            utt_index=place,
            speaker=speaker(2 * pair + turn % 2),
            words=words,
            voice="excited" if setting & 2 else "calm",
            face="tense" if setting & 1 else "open",
            length_s=LENGTHS_S[setting ^ LENGTH_MASKS[pair]],
            text=next(sentences[words]),
        )
