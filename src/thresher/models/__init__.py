"""What a model is: reference -> files, GGUF header -> facts, tokenizer and chat template."""

from thresher.models.chat_template import ChatTemplate, PlainFormat
from thresher.models.facts import ModelFacts, load_facts
from thresher.models.model import Model, open_model
from thresher.models.reference import ModelFiles, resolve

__all__ = [
    "ChatTemplate",
    "Model",
    "ModelFacts",
    "ModelFiles",
    "PlainFormat",
    "load_facts",
    "open_model",
    "resolve",
]
