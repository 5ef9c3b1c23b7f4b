"""The native engine: Qwen3.5 and Qwen3 read layer by layer with torch.

``config`` says what a model computes, ``weights`` reads checkpoints and GGUF files, ``linear`` multiplies in each
precision, ``precision`` chooses one.
"""
