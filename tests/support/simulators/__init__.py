"""HTTP servers on loopback that speak the protocols of vLLM, SGLang and OpenAI-compatible endpoints.

They follow the public descriptions of these APIs (each module says which) and compute with the shipped model, so that
an adapter can be compared with the engine inside the process. They stand in for the real servers, which need a GPU.
"""
