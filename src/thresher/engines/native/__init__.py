"""The native engine: Qwen3.5 and Qwen3 read layer by layer with torch.

``config`` says what a model computes, ``weights`` reads checkpoints and GGUF files, ``linear`` multiplies in each
precision, ``precision`` chooses one. ``reading`` says what a request needs from a pass, ``packing`` puts requests
together, ``pack`` lays them out, ``forward`` takes a pack through ``layers`` (with the operations in ``kernels``),
whose weights ``streaming`` brings; ``tables`` and ``head`` are the ends. ``assembly`` and ``sizing`` put an open
``engine`` together.
"""
