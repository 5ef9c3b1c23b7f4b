"""Models held by servers: llama-server and others, by URL.

``client/`` is HTTP, retries and limits; an adapter (``adapter.py``, one room each) translates for one kind of server;
``endpoint.py`` is a server with its adapter, ``job.py`` a request on its way, ``dispatcher.py`` gives requests to one
server or several, ``engine.py`` is the engine that the pipeline sees, ``opening.py`` makes it from addresses.
"""
