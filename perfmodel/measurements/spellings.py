"""Other tools' names of models, devices and formats, as the catalogue has them."""

import re

from perfmodel.errors import PerfModelError, UnknownNameError, nearest, shown
from perfmodel.specifications.catalogue import find_model, names
from perfmodel.specifications.spellings import STORED, TUNED, stored_as
from perfmodel.specifications.storage import read_weights, spelled, weights_format

# llama.cpp's file types, such as `Q4_K - Medium`, `IQ4_XS - 4.25 bpw` or `all F32`.
_FILE_TYPE = re.compile(
    r"(?i)(?:^| )(?:mostly )?(?P<type>(?:all )?(?:b?f16|f32)|i?q\d\w*(?: mix)?|tq\d\w*|mxfp4|nvfp4)"
    r"(?P<size> - (?:small|medium|large))?(?: moe)?(?: - [\d.]+ bpw.*)?(?: \(guessed\))?$"
)
_QUANTISED_FILE = re.compile(r"(?i)[-_.](UD-)?(i?q\d\w*|b?f16|f32|mxfp4\w*|tq\d\w*)(-\d+-of-\d+)?(\.gguf)?$")


def model_name(theirs: str, file: str = "") -> str:
    """Return the catalogue's name of a model that a benchmark calls `theirs`; file: the name of its weights, if known.

    Raises UnknownNameError with the nearest name.
    """
    for text in (theirs, *_shorter(theirs), *_shorter(_QUANTISED_FILE.sub("", file.rpartition("/")[2]))):
        try:
            return find_model(text).name
        except PerfModelError:
            continue
    known = names("models")
    # llama.cpp writes `qwen35 27B` and `qwen3moe 30B.A3B` for what others call Qwen3.5 27B and Qwen3 30B A3B.
    squeezed = [name for name in known if _squeezed(name) == _squeezed(theirs.replace("moe ", " "))]
    if len(squeezed) == 1:
        return squeezed[0]
    raise UnknownNameError(f"{shown(theirs)} is not a model I know{nearest(_folded(theirs), known)}")


def _shorter(text: str) -> list[str]:
    """Return shorter and shorter forms of a name: without owner, training and storage."""
    found = [_folded(text.rpartition("/")[2])]
    while True:
        last = found[-1]
        cut = TUNED.sub("", last)
        for pattern, _ in STORED:
            cut = pattern.sub("", cut)
        if not cut or cut == last:
            return [form for form in found if form]
        found.append(cut)


def _folded(text: str) -> str:
    return re.sub(r"[\s_]+", "-", text.strip().lower())


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def split_file_type(theirs: str) -> tuple[str, str]:
    """Return name and storage format of a model as llama-bench prints both: `llama 8B Q4_K - Medium`.

    The format is '' where the text ends in none.
    """
    match = _FILE_TYPE.search(theirs.strip())
    if not match:
        return theirs.strip(), ""
    kind = match["type"].lower().removeprefix("all ").replace(" mix", "_m").replace("_s_m", "_m")
    size = (match["size"] or "").strip(" -").lower()
    return theirs.strip()[: match.start()].strip(), kind + (f"_{size[0]}" if size else "")


def format_name(theirs: str, where: str) -> str:
    """Return the storage format that `theirs` spells: `Q4_K - Medium`, `W4A16`, `float16`, `q4_k_m` and the like.

    A format by part is spelled as `--weights` takes it. Raises UnknownNameError with the nearest one.
    """
    if "=" in theirs:
        return spelled(read_weights(theirs, where))
    forms = (theirs, split_file_type(theirs)[1], _folded(theirs), _folded(theirs).replace("-", "_"), stored_as(theirs))
    for form in forms:
        try:
            return weights_format(form, where)
        except UnknownNameError:
            continue
    return weights_format(theirs, where)
