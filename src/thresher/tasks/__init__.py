"""Labels and questions, task files, and the prompt they make."""

from thresher.tasks.prompt import build_prompt, document_text
from thresher.tasks.task import Example, Label, Question, Task
from thresher.tasks.task_file import load_task

__all__ = ["Example", "Label", "Question", "Task", "build_prompt", "document_text", "load_task"]
