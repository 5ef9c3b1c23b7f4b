"""What a model is: reference -> files, GGUF header or checkpoint -> facts, tokenizer and chat template."""

from thresher.models.chat_format import ChatFormat
from thresher.models.chat_template import ChatTemplate, PlainFormat
from thresher.models.facts import ModelFacts
from thresher.models.files import ModelFiles
from thresher.models.model import Model, load_facts, open_model
from thresher.models.outline import ModelOutline
from thresher.models.outlining import outline, outline_of_model
from thresher.models.reference import resolve
from thresher.models.served import ServedModel, is_address, served_addresses

__all__ = [
    "ChatFormat",
    "ChatTemplate",
    "Model",
    "ModelFacts",
    "ModelFiles",
    "ModelOutline",
    "PlainFormat",
    "ServedModel",
    "is_address",
    "load_facts",
    "open_model",
    "outline",
    "outline_of_model",
    "resolve",
    "served_addresses",
]
