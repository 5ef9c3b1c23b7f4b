"""llama.cpp inside the process, through the C API of ``llama.h``.

``library`` finds the shared library, ``binding`` types its functions, ``context`` decodes. ``layout`` says what of a
prompt is read with the document, ``planner`` makes packs and counts forks, ``reader`` reads the packs, ``questions``
follows the answers, ``sequences`` holds the forks. ``sizing`` and ``memory`` size the context, ``opening`` puts it
together.
"""
