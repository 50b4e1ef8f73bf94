"""Options as other tools call them, and what they are called here; words that are one too many."""

from collections.abc import Iterable, Sequence

from perfmodel.errors import shown

# Options of vLLM, SGLang, TensorRT-LLM, llama.cpp, transformers, benchmark scripts and habit, by ours.
_OURS = {
    "--parallel tp=N, or --devices N for tensor parallelism alone": (
        "--tp --tp-size --tensor-parallel --tensor-parallel-size -tp --tensor-parallelism"
    ),
    "--parallel pp=N": "--pp --pp-size --pipeline-parallel --pipeline-parallel-size -pp",
    "--parallel dp=N": "--dp --dp-size --data-parallel --data-parallel-size -dp",
    "--parallel ep=N": "--ep --ep-size --expert-parallel --expert-parallel-size --enable-expert-parallel -ep",
    "--batch": (
        "--bs --batch-size --batchsize --max-num-seqs --num-seqs --concurrency --max-concurrency --max-batch-size -b"
        " -bs"
        " --users --requests"
    ),
    "--devices": (
        "--gpus --gpu --num-gpus --ngpus --n-gpus --gpu-count --num-devices --world-size --nproc --chips --sockets -n"
        " --cards --accelerators"
    ),
    "--weights": (
        "--dtype --quant --quantization --quantize --precision --wtype --weight-dtype --weight-format --w-dtype -q -wq"
        " --bits --torch-dtype --load-in-4bit --load-in-8bit"
    ),
    "--kv": "--kv-cache-dtype --kv-dtype --kv-format --cache-type-k --cache-type-v --kv-cache -ctk -ctv --kv-quant",
    "--context": (
        "--ctx --ctx-size --ctx-len --context-length --context-len --context-size --max-model-len --seq-len --seqlen"
        " --seq-length --sequence-length --n-ctx --num-ctx --input-len --isl --kv-len --max-seq-len -c -l --length"
    ),
    "--draft K": (
        "--speculative-tokens --num-speculative-tokens --speculative --spec --spec-tokens --num-draft-tokens"
        " --speculative-num-steps --draft-tokens --draft-max"
    ),
    "--drafter": "--draft-model --speculative-model --spec-model --model-draft -md --speculator",
    "--generate of perfmodel request": (
        "--osl --output-len --output-tokens --max-tokens --new-tokens --max-new-tokens --n-predict --gen --num-tokens"
        " --input --input-tokens"
    ),
    "--tpot": "--latency --itl --slo --max-latency --tpot-ms",
    "--before pdl": "--pdl --dependent-launch",
    "-o FILE.pdf, .png or .svg of perfmodel plot": "--pdf --png --svg --picture",
    "--version": "-v -V",
    "--before and --after": "--mode --launch --launch-mode",
    "--before eager": "--eager --enforce-eager --disable-cuda-graph --no-cuda-graph",
    "--before graph": "--cuda-graph --cudagraph --graph --graphs --cuda-graphs",
    "--after looped, which is what is asked where nothing is said": "--loop --looped --looping --loops",
    "--after megakernel": "--megakernel --megakernels --persistent",
    "--offload": "--cpu-offload --cpu-offload-gb --offloading --ngl -ngl --n-gpu-layers --n-cpu-moe --gpu-layers",
    "--json": "--format --output-format --as-json --fmt --js -j",
    "-o FILE": "--out --output-file --out-file --save --file --write",
    "--set price.rental=2USD/h": "--price --cost --rental --price-per-hour --hourly",
    "--set power.tdp=700W": "--power --tdp --watts --power-limit",
    "--set memory.bandwidth=4TB/s": "--bandwidth --bw --memory-bandwidth --mem-bw",
    "--set memory.capacity=80GB": "--memory --vram --capacity --gpu-memory --mem",
    "--set KEY=VALUE": "--param --parameter --override --define -D -p --with",
    "words of their own: perfmodel estimate MODEL HARDWARE": (
        "--model --model-name --model-path --model-id -m --hardware --hw --device --gpu-type --gpu-name --machine"
        " --accelerator --chip --system"
    ),
}
# Of a request, what goes in and what comes out have options of their own.
_OF_A_REQUEST = {
    **dict.fromkeys(
        ("--isl", "--input-len", "--input", "--input-tokens", "--prompt-len", "--prompt-tokens"), "--prompt"
    ),
    **dict.fromkeys(
        ("--osl", "--output-len", "--output-tokens", "--max-tokens", "--new-tokens", "--max-new-tokens", "--n-predict"),
        "--generate",
    ),
}
# Commands by other words.
_COMMANDS = {
    "help": "perfmodel --help, or perfmodel COMMAND --help",
    "version": "perfmodel --version",
    "add": "perfmodel models import FILE, or perfmodel hardware new NAME",
    "create": "perfmodel models import FILE, or perfmodel hardware new NAME",
    "predict": "perfmodel estimate MODEL HARDWARE",
    "run": "perfmodel estimate MODEL HARDWARE",
    "bench": "perfmodel estimate MODEL HARDWARE",
    "benchmark": "perfmodel validate FILE, beside measurements of your own",
    "cost": "perfmodel compare MODELS HARDWARES, which has prices",
    "tco": "perfmodel compare MODELS HARDWARES, which has prices",
    "plan": "perfmodel choose MODELS HARDWARES",
    "recommend": "perfmodel choose MODELS HARDWARES",
    "size": "perfmodel choose MODELS HARDWARES",
    "devices": "perfmodel hardware list",
    "gpus": "perfmodel hardware list",
    "ls": "perfmodel models list, or perfmodel hardware list",
    "search": "perfmodel models list WORD, or perfmodel hardware list WORD",
    "info": "perfmodel models show NAME, or perfmodel hardware show NAME",
    "profile": "perfmodel trace FILE",
    "roofline": "perfmodel plot roofline MODEL HARDWARE",
    "fit": "perfmodel calibrate FILE",
    "serve": "perfmodel explore, which makes a page that answers by itself",
    "gui": "perfmodel explore, which makes a page that answers by itself",
}
FOREIGN = {name: ours for ours, names in _OURS.items() for name in names.split()}


def ours_of(option: str, words: Sequence[str], own: Iterable[str]) -> str | None:
    """Return what an option that a command lacks is called here, None where nobody knows it.

    words: the whole line, in which short options are not yet taken apart; own: the options of the command.
    """
    have = set(own)
    typed = [word.partition("=")[0] for word in words]
    # Of a short option click names the first letter only.
    meant = next((w for w in (*typed, option) if w in FOREIGN and w not in have and w.startswith(option)), None)
    if meant is None:
        return None
    here = _OF_A_REQUEST.get(meant) if "--generate" in have else None
    return f"No such option: {meant}; here it is {here or FOREIGN[meant]}"


def command_meant(message: str) -> str:
    """Return the message about a command that there is not, with ours where it is called otherwise here."""
    word = message.partition("'")[2].partition("'")[0]
    return f"{message.rstrip('.')}; here it is {_COMMANDS[word]}" if word in _COMMANDS else message


def one_too_many(message: str, command: str, arguments: Sequence[str]) -> str:
    """Return the message about a word too many, with how several names or one with spaces are written.

    arguments: the words of the line that are no options, as far as one can tell.
    """
    names = [word for word in arguments if not word.startswith("-") and word not in ("vs", "vs.", "and", "or", "on")]
    if command in ("compare", "sweep", "choose", "explore") and len(names) > 2:
        return f"{message}; several names are one word with commas: {','.join(names[1:])}"
    if command == "calibrate":
        return f"{message}; the FILE says model and hardware of each row"
    if command == "explain-gap":
        return f"{message}; what was measured is --measured {names[-1]}"
    if command in ("show", "new") and len(names) > 1:
        return f"{message}; one name at a time, and one with spaces in quotes"
    if len(names) > 2 and names[1].isdecimal():
        return f"{message}; how many devices is an option: {' '.join(names[2:])} --devices {names[1]}"
    if len(names) > 2:
        spaced = " ".join(names[1:])
        return (
            f"{message}; a name with spaces needs quotes ({shown(spaced)}), and several devices are for perfmodel"
            " compare:"
            f" {','.join(names[1:])}"
        )
    return message
