"""Servers that Thresher starts itself: found, launched for prompt-heavy work, watched, restarted, stopped.

``programs`` and ``installed`` say what is on this machine and which options it knows; ``recipes`` turn facts into
arguments; ``process`` and ``watcher`` run it so that it never outlives us; ``supervisor`` keeps it running;
``engine`` scores through it and finds the request that kills it.
"""
