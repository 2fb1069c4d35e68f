"""Prediction tasks from pictures: small declarations on one trainer and one evaluation.

A task is imported when it is first asked for, so that asking for its name is quick.
"""

from __future__ import annotations

import importlib

from livertrack.errors import UsageError
from livertrack.tasks._task import Cases, ImageTask
from livertrack.tasks.evaluate import TaskResult, evaluate_task

__all__ = ["TASKS", "Cases", "ImageTask", "TaskResult", "evaluate_task", "find_task"]

#: name of a task and the module whose ``TASK`` it is
TASKS = {
    "mre-quality": "livertrack.tasks.mre_quality",
    "cirrhosis": "livertrack.tasks.cirrhosis",
    "stiffness": "livertrack.tasks.stiffness",
}


def find_task(name: str) -> ImageTask:
    """Task of a name; `UsageError` with the names there are for any other."""
    if name not in TASKS:
        msg = f"a task is one of {', '.join(TASKS)}, got {name!r}"
        raise UsageError(msg)
    task: ImageTask = importlib.import_module(TASKS[name]).TASK
    return task
