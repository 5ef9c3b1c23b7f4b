"""How a server is launched for prompt-heavy work: facts in, wishes out; one module per program."""
