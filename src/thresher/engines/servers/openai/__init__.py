"""Any OpenAI-compatible endpoint: it takes messages of text and gives text back.

``turns`` prompts as conversations and answers as replies; ``replies`` the exact text of a label, plain or in JSON;
``shares`` the labels' probabilities where the endpoint tells those of tokens; ``terms`` what an endpoint takes and
gives, found by trying; ``adapter`` joins them.
"""
