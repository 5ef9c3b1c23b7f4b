"""The operations that are worth a library or a kernel of their own: a folder each.

In each, ``reference`` is the plain arithmetic that the others are tested against, and ``choose`` in the folder's
``__init__`` picks the fastest that can run for a device and a dtype.
"""
