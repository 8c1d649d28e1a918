"""Checkpoints as transformers writes them: their configs, their tensors' names, in and out."""
