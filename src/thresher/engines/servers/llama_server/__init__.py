"""llama.cpp's server, by its own routes.

``wire`` what is sent and what comes back, ``identity`` what it says it is, ``tokens`` its tokenizer, ``slots`` how a
slot comes back to where it was, ``adapter`` one request.
"""
