"""Makes one clip of the demo corpus: a talking head and its voice in an mp4, the same bytes every time."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manifests.corpora import _demo_face, _demo_voice
from manifests.corpora._demo_script import FPS, Script, generator

# Without `cpu-independent`, x264's fast macroblock tree gave other bytes in every process.
X264 = {"preset": "veryfast", "crf": "20", "x264-params": "cpu-independent=1"}


def make_clip(script: Script, path: Path) -> None:
    """Write the clip of `script` to `path`; its bytes depend on the script and the library versions alone."""
    rng = generator(script.clip_id)
    tracks = _demo_voice.plan(script, rng)
    sound = _demo_voice.speak(script, tracks, rng)
    mouth = _demo_voice.loudness(tracks, round(script.length_s * FPS))
    _write(path, _demo_face.frames(script, mouth, rng), sound, script.speaker.rate_hz)


def _write(path: Path, pictures: Iterable[NDArray[np.uint8]], sound: NDArray[np.float64], rate_hz: int) -> None:
    """Encode pictures and sound as H.264 and AAC."""
    import av

    layout = {1: "mono", 2: "stereo"}[sound.shape[1]]
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options=X264)
        video.width = video.height = _demo_face.SIZE_PX
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1  # several threads cut frames differently from run to run
        audio = container.add_stream("aac", rate=rate_hz, layout=layout)
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        planes = np.ascontiguousarray(sound.T, dtype=np.float32)
        samples = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        samples.sample_rate, samples.pts = rate_hz, 0  # without a pts, the encoder's lead-in would delay the sound
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))
