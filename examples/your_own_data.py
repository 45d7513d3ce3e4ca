"""Your own data in twenty lines: pairs in a file, a collection with splits, the doctor, and a
comparison.

python examples/your_own_data.py [MODEL ...]        (default: bm25 alone; minilm is the embedded
model)
"""

import sys
import tempfile
from pathlib import Path

from nearfield import bm25_system, compare, load, model_systems, open_collection
from nearfield.data.doctor.examine import examine
from nearfield.data.split import split_by_group

PRODUCTS = [
    "kettle",
    "lamp",
    "chair",
    "desk",
    "phone",
    "radio",
    "bicycle",
    "tent",
    "guitar",
    "camera",
    "printer",
    "watch",
]
ASKED = {
    "how do I repair the": "Repairs: take the {} to the workshop.",
    "where can I buy a": "Sales: every {} is on the second floor.",
}


def main(models: list[str]) -> None:
    rows = [
        f"{start} {product}\t{answer.format(product)}"
        for product in PRODUCTS
        for start, answer in ASKED.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "faq.tsv"
        file.write_text("question\tanswer\n" + "\n".join(rows) + "\n", encoding="utf-8")
        collection = split_by_group(open_collection(file), {"train": 0.5, "test": 0.5})
        for finding in examine(collection):
            print(f"{finding.severity}: {finding.check}, {finding.count} of {finding.total}")
        test = collection.split("test")
        systems = [bm25_system(test)]
        for name in models:
            systems += model_systems(load(name), test, name=name)
        for row in compare(systems, test).rows:
            print(
                f"{row.name:12} nDCG@10 {row.estimate.mean:.3f} [{row.estimate.low:.3f}, "
                f"{row.estimate.high:.3f}] {row.letters}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
