"""vLLM: ``routes`` ways of asking it for label probabilities, ``adapter`` what it is and which of them it has."""
