"""The operations that are worth a library or a kernel of their own: a folder each.

In each, ``reference`` is the plain arithmetic that the others are tested against. For attention and the delta rule,
``choose_...`` in the folder's ``__init__`` picks the fastest that can run for a device and a dtype; for the others,
what is done between the matrix multiplies, ``choice`` picks between ``triton`` and ``reference`` at every call.
"""
