"""Low-rank adapters (LoRA) on a backbone: PEFT's folders, several on one model, merged or beside
it.
"""
