"""What a model is: reference -> files, GGUF header -> facts, tokenizer and chat template."""
