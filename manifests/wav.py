"""How long a wav file lasts, by its head alone: no decoder, and no more than a few blocks of the disk."""

import struct
from pathlib import Path

MAX_CHUNKS = 64


def seconds(file: Path) -> float | None:
    """Return the duration that the head states, or nothing where it is no wav, states none, or is itself cut off.

    Of sound that is cut off it is the duration of what is there.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(12)
            if head[:4] != b"RIFF" or head[8:] != b"WAVE":
                return None
            bytes_per_s = 0
            for _ in range(MAX_CHUNKS):
                chunk = stream.read(8)
                if len(chunk) < 8:
                    return None
                name, size_bytes = struct.unpack("<4sI", chunk)
                if name == b"fmt ":
                    fmt = stream.read(16)
                    if len(fmt) < 16 or size_bytes < 16:
                        return None
                    bytes_per_s = struct.unpack("<I", fmt[8:12])[0]
                    stream.seek(size_bytes + size_bytes % 2 - 16, 1)
                elif name == b"data":
                    # A recorder that streams, or was switched off, leaves a size that means nothing.
                    there_bytes = file.stat().st_size - stream.tell()
                    return min(size_bytes, there_bytes) / bytes_per_s or None if bytes_per_s else None
                else:
                    stream.seek(size_bytes + size_bytes % 2, 1)
    except OSError:
        return None
    return None
