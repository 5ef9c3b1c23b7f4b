"""Pieces of ``benchmarks/native_prefill.py``: the native engine on random weights, against what the machine can do."""
