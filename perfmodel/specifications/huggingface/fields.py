"""Checked access to the keys of a config: every key is read once, with its type and range, or refused by name."""

import math
from typing import Any

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.huggingface.defaults import UNKNOWN, Family

LARGEST_INTEGER = 10**9

# Keys that say nothing about the work of a decode step: training, generation, bookkeeping.
_WITHOUT_WORK = frozenset(
    """
architectures auto_map transformers_version torch_dtype dtype use_cache initializer_range pretraining_tp is_decoder
is_encoder_decoder gradient_checkpointing chunk_size_feed_forward id2label label2id num_labels
return_dict problem_type task_specific_params finetuning_task tokenizer_class prefix torchscript use_bfloat16
tf_legacy_loss pruned_heads tie_encoder_decoder cross_attention_hidden_size output_attentions output_hidden_states
rms_norm_eps layer_norm_eps layer_norm_epsilon norm_eps norm_epsilon rope_theta rope_scaling rope_parameters rope_local_base_freq
max_position_embeddings original_max_position_embeddings attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop
residual_dropout embedding_dropout classifier_dropout attn_implementation unsloth_version unsloth_fixed max_sequence_length
temperature top_k top_p do_sample max_length min_length repetition_penalty num_beams length_penalty no_repeat_ngram_size
bad_words_ids early_stopping num_beam_groups diversity_penalty typical_p encoder_no_repeat_ngram_size num_return_sequences
output_scores return_dict_in_generate remove_invalid_values exponential_decay_length_penalty suppress_tokens
begin_suppress_tokens forced_bos_token_id forced_eos_token_id decoder_start_token_id sep_token_id mlp_dropout model_type
quantization_config compression_config quantization neftune_noise_alpha keys_to_ignore_at_inference base_model_tp_plan base_model_pp_plan init_std init_method_std initializer_factor is_llama_config rope_interleaved
""".split()
)


def is_without_work(key: str) -> bool:
    """Return whether `key` never changes the work of a step, whatever its value."""
    return (
        key in _WITHOUT_WORK
        or key.startswith("_")
        or key.endswith(("_token_id", "_token_ids", "_token_index", "dropout", "_dropout_prob"))
    )


class Fields:
    """The keys of one config object; reading marks a key as understood, `finish` refuses what was not."""

    def __init__(self, config: dict[str, Any], where: str, family: Family = UNKNOWN) -> None:
        self._config = config
        self._read: set[str] = set()
        self._family = family
        self.where = where

    def has(self, key: str) -> bool:
        """Return whether `key` is there and not null."""
        return self.raw(key) is not None

    def raw(self, key: str) -> Any:
        """Return what is at `key` or at another name of it, unchecked; where neither is there, what the family takes for it."""
        names = (key, *self._family.names(key))
        for name in names:
            if name in self._config:
                return self._config[name]
        return next((self._family.defaults[name] for name in names if name in self._family.defaults), None)

    def _take(self, key: str, default: Any, required: bool) -> Any:
        self.known(key)
        value = self.raw(key)
        if value is not None:
            return value
        if required:
            raise SpecificationError(
                f"{self.where}: has no {key}{nearest(key, [k for k in self._config if k not in self._read])}"
            )
        return default

    def integer(
        self,
        key: str,
        default: int | None = None,
        *,
        least: int = 1,
        most: int = LARGEST_INTEGER,
        required: bool = True,
    ) -> Any:
        """Return the whole number at `key`, between `least` and `most`.

        `default` (or None) when absent and not required.
        """
        value = self._take(key, default, required and default is None)
        if value is None or value is default:
            return value
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecificationError(f"{self.where}: {key}: {shown(value)} is not a whole number")
        if not least <= value <= most:
            raise SpecificationError(
                f"{self.where}: {key}: {shown(value)} is out of range; {least} to {most} is accepted"
            )
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return the true or false at `key`, or `default`."""
        value = self._take(key, default, required=False)
        if not isinstance(value, bool):
            raise SpecificationError(f"{self.where}: {key}: {shown(value)} is not true or false")
        return value

    def text(self, key: str, default: str) -> str:
        """Return the text at `key`, or `default`."""
        value = self._take(key, default, required=False)
        if not isinstance(value, str):
            raise SpecificationError(f"{self.where}: {key}: {shown(value)} is not a text")
        return value

    def texts(self, key: str) -> list[str] | None:
        """Return the list of texts at `key`, or None."""
        value = self._take(key, None, required=False)
        if value is not None and (not isinstance(value, list) or not all(isinstance(v, str) for v in value)):
            raise SpecificationError(f"{self.where}: {key}: {shown(value)} is not a list of texts")
        return value

    def integers(self, key: str) -> list[int] | None:
        """Return the list of whole numbers at `key`, or None."""
        value = self._take(key, None, required=False)
        if value is not None and (
            not isinstance(value, list) or not all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        ):
            raise SpecificationError(f"{self.where}: {key}: {shown(value)} is not a list of whole numbers")
        return value

    def numbers(self, key: str, count: int) -> list[float] | None:
        """Return the `count` numbers at `key`, one for all repeated, or None."""
        value = self._take(key, None, required=False)
        if value is None:
            return None
        listed = value if isinstance(value, list) else [value] * count
        if len(listed) != count or not all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in listed
        ):
            raise SpecificationError(
                f"{self.where}: {key}: {shown(value)} is not a number or a list of {count}, one a layer"
            )
        return listed

    def whole_numbers(
        self, key: str, count: int, default: int | None = None, *, least: int = 1, most: int = LARGEST_INTEGER
    ) -> list[int]:
        """Return `count` whole numbers at `key`, between `least` and `most`; one for all is repeated."""
        if not isinstance(self.raw(key), list):
            return [self.integer(key, default, least=least, most=most)] * count
        listed = self.numbers(key, count) or []
        if not all(least <= value <= most and float(value).is_integer() for value in listed):
            raise SpecificationError(
                f"{self.where}: {key}: {shown(listed)} are not whole numbers from {least} to {most}"
            )
        return [int(value) for value in listed]

    def table(self, key: str) -> dict[str, Any] | None:
        """Return the object at `key`, or None."""
        value = self._take(key, None, required=False)
        if value is not None and not isinstance(value, dict):
            raise SpecificationError(f"{self.where}: {key}: {shown(value)} is not an object")
        return value

    def known(self, *keys: str) -> None:
        """Mark keys as understood that the reader needs no value of."""
        self._read.update(keys)
        for key in keys:
            self._read.update(self._family.names(key))

    def finish(self, family: str) -> None:
        """Raise SpecificationError for the first key that is set, may change the work, and was not read."""
        for key, value in self._config.items():
            # Null, false and zero switch nothing on, and what the family takes anyway changes nothing.
            if (
                key in self._read
                or (key in self._family.defaults and value == self._family.defaults[key])
                or value is None
                or value is False
                or (value == 0 and not isinstance(value, float))
                or is_without_work(key)
            ):
                continue
            raise SpecificationError(
                f"{self.where}: {shown(key)} = {shown(value)} may change the work of a step and is not understood for"
                f" model_type {family}{nearest(key, self._read)}; remove it if it does not"
            )
