"""A small corpus of real files: films, sound alone, picture alone, words alone; twelve clips in two splits."""

import media_kit as kit
import numpy as np

import manifests
from manifests import Manifest

SENTENCES = ("We won the cup.", "The rain will not stop.", "Where is my hat?", "It is on the chair.")
ENCODERS = "toy_audio,toy_frames,toy_text,mfcc"


def corpus(root, films=6):
    """Write the media and the manifest of the corpus `demo`; return the manifest."""
    media = root / "media"
    media.mkdir(exist_ok=True)
    clips = []
    for i in range(films):
        seconds = 1.0 + 0.7 * i
        pictures = [kit.picture(n) for n in range(round(seconds * 25))]
        kit.write(media / f"film{i}.mp4", pictures, kit.tone(200 + 50 * i, seconds))
        clips.append(clip(f"film{i}", audio=f"film{i}.mp4", video=f"film{i}.mp4", text=SENTENCES[i % 4]))
    kit.write(media / "sound.wav", sound=kit.tone(300, 2.0), how=kit.Sound("pcm_s16le", "s16"))
    kit.write(media / "picture.mp4", [kit.picture(n) for n in range(40)])
    clips.append(clip("sound", audio="sound.wav"))
    clips.append(clip("picture", video="picture.mp4"))
    clips += [clip(f"words{i}", text=sentence) for i, sentence in enumerate(SENTENCES)]
    return save(Manifest("demo", media, tuple(clips)))


def clip(name, **columns):
    """One clip of the corpus; every second film is in dev."""
    return kit.clip(id=name, corpus="demo", split="dev" if name in ("film1", "film3") else "train", **columns)


def save(manifest):
    """Write a manifest and hand it on."""
    manifests.write(manifest)
    return manifest


def contents(root):
    """Every part of the cache by its path, as bytes."""
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.glob("features/**/part-*.h5"))}


def rows(windows):
    """The values of a clip as an array that can be compared."""
    return np.asarray(windows.values, np.float64)
