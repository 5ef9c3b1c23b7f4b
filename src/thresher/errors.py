"""Every exception Thresher raises on purpose.

    ThresherError
    ├── UsageError            the caller asked for something that cannot be done; the command line exits with 2
    │   ├── TaskError         a task file or a label list is wrong; names the file, the line and the remedy
    │   ├── InputError        an input path, a table or a column is wrong
    │   └── EstimatorError    what the scikit-learn estimator was given is wrong; also a ValueError
    ├── ModelError            a model reference or a model file cannot be used
    │   ├── ModelNotFoundError     no such file, folder, repository or quantization
    │   ├── ModelFormatError       not a model file, cut short, or of an unknown layout
    │   └── ModelDownloadError     the hub could not be reached, or the disk is too small
    ├── EngineError           an engine cannot start or cannot go on
    │   ├── EngineUnavailableError   the engine's library is missing or does not fit; names the remedy
    │   └── EngineCapacityError      the model or the context does not fit the memory
    ├── JobError              the job store cannot be opened, written or read
    │   ├── JobLockedError    another process is writing to this job
    │   └── DiskFullError     no space left, or too little for the run; what was committed is safe
    ├── FileHandlesError      the limit of open files is too low for the run
    ├── ExtraMissingError     an optional library is not installed; names the extra; also an ImportError
    ├── UnlabelledError       texts without a label where every text needs one; names the rows and the reasons
    └── UnreadableError       one document cannot be read; becomes a stored failure, never ends a run

A message names the value, the limit and the remedy. Errors of libraries are translated where they enter,
with ``raise ... from``.
"""

from __future__ import annotations


class ThresherError(Exception):
    """Base of all errors raised by Thresher."""


class UsageError(ThresherError):
    """The request itself is wrong; the message says how to mend it."""


class TaskError(UsageError):
    """A task definition is wrong."""


class InputError(UsageError):
    """An input path, table or column is wrong."""


class EstimatorError(UsageError, ValueError):
    """A parameter, texts or labels given to the scikit-learn estimator are wrong; scikit-learn expects ValueErrors."""


class ModelError(ThresherError):
    """A model cannot be used."""


class ModelNotFoundError(ModelError):
    """The model reference leads nowhere."""


class ModelFormatError(ModelError):
    """The model file is not what its place or its name promises."""


class ModelDownloadError(ModelError):
    """The model could not be fetched from the hub."""


class EngineError(ThresherError):
    """An engine cannot start or go on."""


class EngineUnavailableError(EngineError):
    """The engine's library is missing or unusable on this machine."""


class EngineCapacityError(EngineError):
    """The model or its context does not fit the memory."""


class JobError(ThresherError):
    """The job store cannot be used."""


class JobLockedError(JobError):
    """Another process writes to the job."""


class DiskFullError(JobError):
    """The disk is full, or too small for the run; everything committed before is safe."""


class FileHandlesError(ThresherError):
    """The process may not open as many files as a run needs."""


class ExtraMissingError(ThresherError, ImportError):
    """A library of one of Thresher's extras is not installed; the message says how to install it."""


class UnlabelledError(ThresherError):
    """Some texts could not be labelled, and the caller needs a label for each."""


class UnreadableError(ThresherError):
    """One document cannot be read; ``str(error)`` is the reason stored with its row."""
