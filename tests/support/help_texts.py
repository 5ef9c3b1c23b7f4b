"""Options of named versions of servers, as their own help lays them out: names and values, without any sentence.

llama.cpp b11434: built from its sources, and asked. llama.cpp of February 2025: its server's README of then. vLLM 0.8.5
and 0.30.0: their documentation of ``vllm serve``. SGLang 0.5.23: the fields of its wheel's arguments. Only what a
launch may use is listed.
"""

from __future__ import annotations

_LLAMA_CPP_B11434 = """
-h,    --help, --usage
--version
-t,    --threads N
-c,    --ctx-size N
-b,    --batch-size N
-ub,   --ubatch-size N
-fa,   --flash-attn [on|off|auto]
-ctk,  --cache-type-k TYPE
-ctv,  --cache-type-v TYPE
-dev,  --device <dev1,dev2,..>
--list-devices
-ngl,  --gpu-layers, --n-gpu-layers N
-m,    --model FNAME
-a,    --alias STRING
--offline
-cram, --cache-ram N
-kvu,  --kv-unified, -no-kvu, --no-kv-unified
--cache-idle-slots, --no-cache-idle-slots
--context-shift, --no-context-shift
-np,   --parallel N
--mmproj-auto, --no-mmproj, --no-mmproj-auto
--host HOST
--port PORT
--ui,  --webui, --no-ui, --no-webui
--api-key KEY
--slot-save-path PATH
-rea,  --reasoning [on|off|auto]
--reasoning-budget N
"""
_LLAMA_CPP_2025_02 = """
-h,    --help, --usage
--version
-t,    --threads N
-c,    --ctx-size N
-b,    --batch-size N
-ub,   --ubatch-size N
-fa,   --flash-attn
-ctk,  --cache-type-k TYPE
-ctv,  --cache-type-v TYPE
-dev,  --device <dev1,dev2,..>
--list-devices
-ngl,  --gpu-layers, --n-gpu-layers N
-m,    --model FNAME
--no-context-shift
-np,   --parallel N
-a,    --alias STRING
--host HOST
--port PORT
--no-webui
--api-key KEY
--slot-save-path PATH
"""
_VLLM_0_30 = """
--host HOST
--port PORT
--api-key API_KEY [API_KEY ...]
--served-model-name SERVED_MODEL_NAME [SERVED_MODEL_NAME ...]
--max-model-len MAX_MODEL_LEN
--max-num-batched-tokens MAX_NUM_BATCHED_TOKENS
--max-num-seqs MAX_NUM_SEQS
--performance-mode {balanced,interactivity,throughput}
--language-model-only, --no-language-model-only
--enable-prefix-caching, --no-enable-prefix-caching
--gdn-prefill-backend {flashinfer,triton,cutedsl}
--tensor-parallel-size TENSOR_PARALLEL_SIZE, -tp TENSOR_PARALLEL_SIZE
--default-chat-template-kwargs DEFAULT_CHAT_TEMPLATE_KWARGS
--max-logprobs MAX_LOGPROBS
--enable-log-requests, --no-enable-log-requests
--disable-uvicorn-access-log, --no-disable-uvicorn-access-log
"""
_VLLM_0_8_5 = """
--host HOST
--port PORT
--api-key API_KEY
--served-model-name SERVED_MODEL_NAME [SERVED_MODEL_NAME ...]
--max-model-len MAX_MODEL_LEN
--max-num-batched-tokens MAX_NUM_BATCHED_TOKENS
--max-num-seqs MAX_NUM_SEQS
--enable-prefix-caching, --no-enable-prefix-caching
--tensor-parallel-size TENSOR_PARALLEL_SIZE, -tp TENSOR_PARALLEL_SIZE
--max-logprobs MAX_LOGPROBS
--disable-log-requests
--disable-uvicorn-access-log
"""
_SGLANG_0_5_23 = """
--model-path MODEL_PATH, --model MODEL_PATH
--host HOST
--port PORT
--api-key API_KEY
--served-model-name SERVED_MODEL_NAME
--context-length CONTEXT_LENGTH
--chunked-prefill-size CHUNKED_PREFILL_SIZE
--max-prefill-tokens MAX_PREFILL_TOKENS
--max-running-requests MAX_RUNNING_REQUESTS
--mem-fraction-static MEM_FRACTION_STATIC
--disable-radix-cache
--linear-attn-prefill-backend {triton,flashinfer}
--mamba-ssm-dtype {float32,bfloat16}
--tp-size TP_SIZE, --tensor-parallel-size TP_SIZE
--log-level-http LOG_LEVEL_HTTP
--config CONFIG
"""
#: From before it read files of options.
_SGLANG_0_4_6 = """
--model-path MODEL_PATH, --model MODEL_PATH
--host HOST
--port PORT
--api-key API_KEY
--served-model-name SERVED_MODEL_NAME
--context-length CONTEXT_LENGTH
--chunked-prefill-size CHUNKED_PREFILL_SIZE
--max-prefill-tokens MAX_PREFILL_TOKENS
--max-running-requests MAX_RUNNING_REQUESTS
--mem-fraction-static MEM_FRACTION_STATIC
--disable-radix-cache
--tensor-parallel-size TENSOR_PARALLEL_SIZE, --tp-size TENSOR_PARALLEL_SIZE
--log-level-http LOG_LEVEL_HTTP
"""


def _llama_cpp(options: str) -> str:
    """Meanings begin in column 40, on the next line where the option is longer."""
    lines = ["----- common params -----", ""]
    for option in options.strip().splitlines():
        lines += [option.ljust(40) + "what it does"] if len(option) < 40 else [option, f"{'':40}what it does"]
        lines.append(f"{'':40}(see --some-other-option, default: none)")
    return "\n".join(lines)


def _argparse(program: str, options: str) -> str:
    """Two spaces before an option, 24 before its meaning."""
    listed = options.strip().splitlines()
    usage = f"usage: {program} [-h]\n" + "\n".join(f"{'':18}[{option.split(',')[0]}]" for option in listed)
    lines = [f"  {option}\n{'':24}What it does, as --some-other-option." for option in listed]
    return "\n".join([usage, "", "options:", "  -h, --help            show this help message and exit", *lines])


#: Program and version -> what its help prints.
HELP: dict[tuple[str, str], str] = {
    ("llama-server", "b11434"): _llama_cpp(_LLAMA_CPP_B11434),
    ("llama-server", "2025-02"): _llama_cpp(_LLAMA_CPP_2025_02),
    ("vllm", "0.30.0"): _argparse("vllm serve", _VLLM_0_30),
    ("vllm", "0.8.5"): _argparse("vllm serve", _VLLM_0_8_5),
    ("sglang", "0.5.23"): _argparse("sglang serve", _SGLANG_0_5_23),
    ("sglang", "0.4.6"): _argparse("launch_server.py", _SGLANG_0_4_6),
}
