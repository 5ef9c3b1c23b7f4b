"""Labels and questions, task files, and the prompt they make."""

from thresher.tasks.labels import Label
from thresher.tasks.prompt import TaskPrompt, build_prompt
from thresher.tasks.question import Example, Question
from thresher.tasks.task import DEFAULT_EXAMPLES_TOKENS, Task
from thresher.tasks.task_file import load_task
from thresher.tasks.verdict import Verdict
from thresher.tasks.wording import document_text

__all__ = [
    "DEFAULT_EXAMPLES_TOKENS",
    "Example",
    "Label",
    "Question",
    "Task",
    "TaskPrompt",
    "Verdict",
    "build_prompt",
    "document_text",
    "load_task",
]
