"""Checked access to the keys of a config: every key is read once, with its type and range, or refused by name."""

from typing import Any

from perfmodel.errors import SpecificationError, nearest, shown
from perfmodel.specifications.fields import Fields
from perfmodel.specifications.huggingface.defaults import UNKNOWN, Family

# Keys that say nothing about the work of a decode step: training, generation, bookkeeping.
_WITHOUT_WORK = frozenset(
    """
architectures auto_map transformers_version torch_dtype dtype use_cache initializer_range pretraining_tp is_decoder
is_encoder_decoder gradient_checkpointing chunk_size_feed_forward id2label label2id num_labels return_dict
problem_type task_specific_params finetuning_task tokenizer_class prefix torchscript use_bfloat16 tf_legacy_loss
pruned_heads tie_encoder_decoder cross_attention_hidden_size output_attentions output_hidden_states rms_norm_eps
layer_norm_eps layer_norm_epsilon norm_eps norm_epsilon rope_theta rope_scaling rope_parameters rope_local_base_freq
max_position_embeddings original_max_position_embeddings attention_dropout hidden_dropout resid_pdrop embd_pdrop
attn_pdrop residual_dropout embedding_dropout classifier_dropout attn_implementation unsloth_version unsloth_fixed
max_sequence_length temperature top_k top_p do_sample max_length min_length repetition_penalty num_beams
length_penalty no_repeat_ngram_size bad_words_ids early_stopping num_beam_groups diversity_penalty typical_p
encoder_no_repeat_ngram_size num_return_sequences output_scores return_dict_in_generate remove_invalid_values
exponential_decay_length_penalty suppress_tokens begin_suppress_tokens forced_bos_token_id forced_eos_token_id
decoder_start_token_id sep_token_id mlp_dropout model_type quantization_config compression_config quantization
neftune_noise_alpha keys_to_ignore_at_inference base_model_tp_plan base_model_pp_plan init_std init_method_std
initializer_factor is_llama_config rope_interleaved output_router_logits use_mambapy use_associative_scan
output_logits
""".split()
)


def is_without_work(key: str) -> bool:
    """Return whether `key` never changes the work of a step, whatever its value."""
    return (
        key in _WITHOUT_WORK
        or key.startswith("_")
        or key.endswith(("_token_id", "_token_ids", "_token_index", "dropout", "_dropout_prob"))
    )


class ConfigFields(Fields):
    """The keys of one config object, by the names of its family; `finish` refuses what was not read."""

    def __init__(self, config: dict[str, Any], where: str, family: Family = UNKNOWN) -> None:
        super().__init__(config, where)
        self._family = family

    def raw(self, key: str) -> Any:
        """Return what is at `key` or another name of it, unchecked; where neither is, what the family takes for it."""
        names = (key, *self._family.names(key))
        for name in names:
            if name in self._table:
                return self._table[name]
        return next((self._family.defaults[name] for name in names if name in self._family.defaults), None)

    def replaced(self, **values: Any) -> "ConfigFields":
        """Return the same keys with other values at some; what is read of either is read of both."""
        other = ConfigFields(self._table | values, self.where, self._family)
        other._read = self._read
        return other

    def known(self, *keys: str) -> None:
        """Mark keys as understood that the reader needs no value of."""
        super().known(*keys)
        for key in keys:
            self._read.update(self._family.names(key))

    def finish(self, family: str) -> None:
        """Raise SpecificationError for the first key that is set, may change the work, and was not read."""
        for key, value in self._table.items():
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
