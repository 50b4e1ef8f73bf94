"""Weights of a model that no plain decode step runs: towers for pictures and sound, and draft heads."""

from perfmodel.operations.builders import matrix, norm
from perfmodel.operations.formats import Formats, plain_formats
from perfmodel.operations.step import decode_step
from perfmodel.operations.work import Work
from perfmodel.specifications.model import Model


def draft_work(model: Model, formats: Formats) -> tuple[int, Work]:
    """Return the weights [-] of the draft head that was trained with `model`, and the work that reads all of them.

    As in DeepSeek-V3 (arXiv 2412.19437, 2.2): each layer has the last hidden state and the embedding of the next token,
    both normed, joined by a matrix; a norm follows it. Embedding and LM head are the model's own.
    """
    if not model.draft_layers:
        return 0, Work()
    inside = [o for layer in decode_step(model.replace(layers=model.draft_layers), formats, 1).layers for o in layer]
    for _ in model.draft_layers:
        inside.append(matrix("draft_projection", model.hidden, 2 * model.hidden, formats.within("other")))
        inside += [norm("draft_norm", model.hidden, formats, elements=model.norm_elements)] * 3
    work = sum((Work(weights=o.work.weights, experts=o.work.experts) for o in inside), Work())
    return sum(operation.elements for operation in inside), work


def draft_parameter_count(model: Model) -> int:
    """Return the number of weights [-] of the draft head that was trained with `model`, 0 for none."""
    return draft_work(model, plain_formats("bf16"))[0]
