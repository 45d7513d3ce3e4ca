"""What would an API's model cost on my documents, and is it worth it against a local one?

    OPENAI_API_KEY=... python examples/api_model.py DATA [MODEL] [DOLLARS]

DATA is a collection (a folder, a file, or a name such as stdlib). MODEL is any of
docs/guides/api-models.md. No more than DOLLARS (0.50) is paid.
"""

import sys

import nearfield as nf
from nearfield.data.open import open_collection
from nearfield.encoders.remote.budget import Budget

data = sys.argv[1]
name = sys.argv[2] if len(sys.argv) > 2 else "openai:text-embedding-3-small"
dollars = float(sys.argv[3]) if len(sys.argv) > 3 else 0.50

with Budget(dollars) as budget:
    model = nf.load(name)
    print(model.forecast(open_collection(data).document_texts, "document"))
    comparison = nf.compare(["bm25", model], data)
print(comparison)
print(comparison.decision)
print(f"paid ${budget.spent:.6f}")
