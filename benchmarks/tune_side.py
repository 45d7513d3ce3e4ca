"""One side of `load.py`'s whole runs, in a process of its own that ends: sentence-transformers'
trainer on the pairs in a file.

    python benchmarks/tune_side.py MODEL PAIRS.json FOLDER --epochs 2 --batch 64 --max-tokens 128
        --rate 5e-5

PAIRS.json holds [[query, positive], ...]. Everything else is as SentenceTransformerTrainer has it
by default; it measures nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("pairs")
    parser.add_argument("to")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rate", type=float, default=5e-5)
    asked = parser.parse_args()

    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses

    model = SentenceTransformer(asked.model, device="cpu")
    model.max_seq_length = asked.max_tokens
    rows = json.loads(Path(asked.pairs).read_text(encoding="utf-8"))
    data = Dataset.from_dict(
        {"anchor": [row[0] for row in rows], "positive": [row[1] for row in rows]}
    )
    with tempfile.TemporaryDirectory() as work:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=work,
            num_train_epochs=asked.epochs,
            per_device_train_batch_size=asked.batch,
            learning_rate=asked.rate,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        loss = losses.MultipleNegativesRankingLoss(model)
        SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=data, loss=loss
        ).train()
    model.save(asked.to)


if __name__ == "__main__":
    main()
