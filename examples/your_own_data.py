"""Your own data in twenty lines: pairs as a list, splits, the doctor, and a comparison.

python examples/your_own_data.py [MODEL ...]     (bm25 alone by default; minilm is downloaded once)
"""

import sys

import nearfield as nf

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
        {"question": f"{start} {product}", "answer": answer.format(product)}
        for product in PRODUCTS
        for start, answer in ASKED.items()
    ]
    collection = nf.split(rows, {"train": 0.5, "test": 0.5})
    print(nf.examine(collection))
    print(nf.compare(["bm25", *models], collection))


if __name__ == "__main__":
    main(sys.argv[1:])
