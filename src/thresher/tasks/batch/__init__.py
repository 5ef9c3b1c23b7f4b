"""Requests of batch files: each brings its own prompt and the replies that it allows.

request.py    a line of the file -> the conversation and its replies, or why not
schema.py     a JSON schema -> the replies that it allows
sharing.py    which requests have the start and the end of their prompts in common
chat_prompt.py   a request -> the tokens of its prompt
"""

from thresher.tasks.batch.chat_prompt import QUESTION_NAME, ChatPrompt, build_chat_prompt, takes_system
from thresher.tasks.batch.request import RequestReader
from thresher.tasks.batch.sharing import Group, Sharing

#: Changes whenever a request's prompt or its replies are made otherwise, because that changes answers.
BATCH_VERSION = "1"

__all__ = [
    "BATCH_VERSION",
    "QUESTION_NAME",
    "ChatPrompt",
    "Group",
    "RequestReader",
    "Sharing",
    "build_chat_prompt",
    "takes_system",
]
