"""llama.cpp inside the process, through the C API of ``llama.h``.

``library`` finds the shared library, ``binding`` types its functions, ``context`` decodes, ``reader`` reads packs of
documents, ``planner`` makes the packs, ``sizing`` and ``memory`` size the context, ``opening`` puts it together.
"""
