"""Queries by a causal or sequence-to-sequence model of Hugging Face's on this machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from nearfield.data.doctor.words import digest
from nearfield.extras import require
from nearfield.runtimes.hardware import fast_precision
from nearfield.store.fingerprint import model_hash
from nearfield.store.foreign import foreign
from nearfield.store.home import models_folder
from nearfield.train.synthesis.prompts import VERSION, as_text, for_one, shown, style_of
from nearfield.train.synthesis.writer import Document, Keep, Means, Order, Queries, Writer

NEW_TOKENS = 48  # of a query at most
_LABEL = re.compile(r"^(?:(?:search )?query|question|q)?\s*\d*\s*[:.)\]-]\s+", re.IGNORECASE)
TEMPERATURE, BEST = 0.8, 50  # each token is one of the 50 likeliest, drawn at this temperature


class Local(Writer):
    """A model that goes on with a text, or, where it has a chat template, that is asked in it. A
    sequence-to-sequence model reads the document alone, as doc2query's do (Nogueira & Lin 2019).

    Each token is drawn by a generator of the query's own, so that a batch's other queries decide
    nothing. Raises ModelError for a folder that transformers cannot open as either.
    """

    block: ClassVar[int] = 8

    def __init__(self, folder: Path, order: Order) -> None:
        import torch
        import transformers

        self.folder = folder
        self.order = order
        device = "cuda" if torch.cuda.is_available() else "cpu"
        precision = fast_precision(device)[0]
        facts = {"files": model_hash(folder), "order": asdict(order), "version": VERSION}
        super().__init__(folder.name, {**facts, "precision": precision})
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        packed_name = _packed_name(folder)
        if packed_name is not None:
            require("gguf", extra="gguf")
            options["gguf_file"] = packed_name
        with foreign(folder, "could not be opened as a model that writes"):
            self._tokeniser: Any = transformers.AutoTokenizer.from_pretrained(folder, **options)
            config = transformers.AutoConfig.from_pretrained(folder, **options)
            self._reads_documents = bool(config.is_encoder_decoder)
            auto: Any = transformers.AutoModelForCausalLM
            if self._reads_documents:
                auto = transformers.AutoModelForSeq2SeqLM
            if packed_name is None:
                options["use_safetensors"] = True  # a pickle may run code
            else:
                # as they are packed they multiply in float32 only, and slowly
                options["quantization_config"] = transformers.GgufConfig(dequantize=True)
            self._model = auto.from_pretrained(folder, dtype=getattr(torch, precision), **options)
        self._model = self._model.to(device).eval()
        # what is written follows the prompt's last token, in each row at the same place
        self._tokeniser.padding_side = "left"
        if self._tokeniser.pad_token is None:
            self._tokeniser.pad_token = self._tokeniser.eos_token
        self._ends = self._ending_tokens()

    @classmethod
    def open(cls, name: str, order: Order, means: Means) -> Self | None:
        for folder in (Path(name), models_folder() / name):
            if folder.is_dir():
                return cls(folder, order)
        return None

    def write(self, documents: Sequence[Document], keep: Keep) -> None:
        """All of the documents' queries are drawn together and kept at once."""
        import torch
        from transformers import LogitsProcessorList

        count = self.order.per_document
        prompts = []
        seeds = []
        for document in documents:
            for number in range(count):
                prompts.append(self._prompt(document, number))
                seeds.append(f"{self.order.seed} {number} {document.key}")
        with foreign(self.folder, "could not write"):
            given = self._tokeniser(
                prompts,
                return_tensors="pt",
                padding=True,
                # a chat template writes them itself
                add_special_tokens=self._reads_documents or not self._tokeniser.chat_template,
            ).to(self._model.device)
            with torch.inference_mode():
                made = self._model.generate(
                    input_ids=given["input_ids"],
                    attention_mask=given["attention_mask"],
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,  # the processor draws, by generators of its own
                    logits_processor=LogitsProcessorList([_drawn(seeds)]),
                    eos_token_id=self._ends,
                    pad_token_id=self._tokeniser.pad_token_id,
                )
        if not self._reads_documents:
            made = made[:, given["input_ids"].shape[1] :]
        texts = self._tokeniser.batch_decode(made, skip_special_tokens=True)
        found: dict[int, Queries] = {place: [] for place in range(len(documents))}
        for at, text in enumerate(texts):
            place, number = divmod(at, count)
            query = tidy(text)
            if query:
                found[place].append((style_of(self.order, number) or self.name, query))
        keep(found)

    def _prompt(self, document: Document, number: int) -> str:
        if self._reads_documents:
            return shown(document.whole)
        if self._tokeniser.chat_template:
            chat = for_one(document, self.order, number)
            prompt: str = self._tokeniser.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True
            )
            return prompt
        return as_text(document, self.order, number)

    def _ending_tokens(self) -> list[int]:
        """The model's own end, and each token with a line break: a query is one line."""
        ids = range(len(self._tokeniser))
        texts = self._tokeniser.batch_decode([[token] for token in ids])
        ends = [token for token, text in zip(ids, texts, strict=True) if "\n" in text]
        stated = self._model.generation_config.eos_token_id  # one, several or none
        if isinstance(stated, int):
            stated = [stated]
        return [*(stated or ()), *ends] or [self._tokeniser.pad_token_id]


def _packed_name(folder: Path) -> str | None:
    """The name of the GGUF file of a folder that has no other weights."""
    found = sorted(file.name for file in folder.glob("*.gguf"))
    if found and not (folder / "config.json").exists():
        return found[0]
    return None


def _drawn(seeds: Sequence[str]) -> Any:
    """Has the best token of each row be one drawn from its `BEST` best at `TEMPERATURE`, by the
    row's own generator: noise of Gumbel's distribution makes the largest sum a sample.
    """
    import torch
    from transformers import LogitsProcessor

    class Drawn(LogitsProcessor):
        def __init__(self) -> None:
            self._generators = [np.random.default_rng(digest(seed)) for seed in seeds]

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            best, places = scores.topk(min(BEST, scores.shape[1]))
            noise = np.stack([each.gumbel(size=best.shape[1]) for each in self._generators])
            summed = best / TEMPERATURE + torch.from_numpy(noise).to(best)
            return torch.full_like(scores, -torch.inf).scatter(1, places, summed)

    return Drawn()


def tidy(text: str) -> str:
    """The first line that says something, without what models like to put around a query."""
    lines = text.strip().splitlines()
    if not lines:
        return ""
    line = _LABEL.sub("", lines[0].strip()).strip()
    return line.strip("\"'“”„«»`*").strip()
