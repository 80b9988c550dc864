"""Encoders as their libraries and authors offer them, for the plain way: the same weights, nothing rearranged by us.

fp32, torch's default layout, no convolution as a product of matrices, no norm folded but what ultralytics folds itself.
"""

import numpy as np
import torch

from extract import encoders
from extract.encoders import (
    Encode,
    Encoded,
    _tokens,
    _ultralytics,
    _waveform,
    _yolo,
    emoaffectnet,
    jina_v3,
    wav2vec2_msp,
    yolo_face,
)
from extract.network import filled


def load(name: str, device: str) -> Encode:
    """Return an encoder; those that need no network are ours in either way."""
    known = {"wav2vec2_msp": sound, "yolo_face": frames, "emoaffectnet": faces, "jina_v3": text}
    return known[name](device) if name in known else encoders.module(name).load(device, "exact")


def network_of(module: object, device: str) -> torch.nn.Module:
    """Build and fill a network, and leave it as it is."""
    network = filled(module.build(), module.WEIGHTS, module.SPEC.licence, getattr(module, "read", _ultralytics.read))
    return network.eval().to(device)


def sound(device: str) -> Encode:
    """Return transformers' wav2vec 2.0."""
    network = network_of(wav2vec2_msp, device)["wav2vec2"]

    @torch.no_grad()
    def encode(batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        heard = torch.from_numpy(_waveform.normalised(batch, valid)).to(device)
        return network(heard).last_hidden_state.cpu().numpy()

    return encode


def frames(device: str) -> Encode:
    """Return ultralytics' YOLOv8, fused as its predictor fuses it."""
    network = network_of(yolo_face, device)
    _ultralytics.silence(network)
    network = _ultralytics.raw(_ultralytics.fused(network))
    limits = [yolo_face.SPEC.settings[name] for name in ("confidence", "iou", "most")]

    @torch.no_grad()
    def encode(batch: np.ndarray, _: np.ndarray) -> Encoded:
        pictures, scale, added = _yolo.letterbox(batch, yolo_face.SPEC.settings["size_px"])
        said = network(torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).contiguous().float() / 255)
        found = _yolo.decoded(said["boxes"], said["scores"], *pictures.shape[1:3])
        size = batch.shape[2], batch.shape[1]
        return Encoded([_yolo.placed(_yolo.kept(rows, *limits), scale, added, *size).cpu().numpy() for rows in found])

    return encode


def faces(device: str) -> Encode:
    """Return the authors' ResNet-50."""
    network = network_of(emoaffectnet, device)

    @torch.no_grad()
    def encode(batch: np.ndarray, _: np.ndarray) -> np.ndarray:
        seen = emoaffectnet.prepared(torch.from_numpy(batch).to(device)).contiguous()
        return network(seen).cpu().numpy()[:, None]

    return encode


def text(device: str) -> Encode:
    """Return transformers' Jina v3."""
    network = network_of(jina_v3, device)
    cut = _tokens.tokenizer(jina_v3.TOKENIZER, jina_v3.SPEC.licence, jina_v3.TOKENS, jina_v3.PADDING)

    @torch.no_grad()
    def encode(batch: list[str], _: np.ndarray) -> np.ndarray:
        tokens = cut.encode_batch(batch)
        ids = torch.tensor([sentence.ids for sentence in tokens], device=device)
        mask = torch.tensor([sentence.attention_mask for sentence in tokens], device=device)
        return network(ids, mask).last_hidden_state.cpu().numpy()

    return encode
