"""Whisper: a decoder with attention to the audio that its encoder heard."""

from perfmodel.specifications.huggingface.blocks import check_activation
from perfmodel.specifications.huggingface.dense import Shape
from perfmodel.specifications.huggingface.fields import ConfigFields
from perfmodel.specifications.huggingface.towers import whisper_encoder
from perfmodel.specifications.mixers import Attention, CrossAttention
from perfmodel.specifications.model import FeedForward, Layer, Tower

# What describes the encoder, the features of the audio, or training.
_KNOWN = """
num_mel_bins encoder_layers encoder_attention_heads encoder_ffn_dim encoder_layerdrop decoder_layerdrop
num_hidden_layers activation_dropout scale_embedding use_weighted_layer_sum classifier_proj_size apply_spec_augment
mask_time_prob mask_time_length mask_time_min_masks mask_feature_prob mask_feature_length mask_feature_min_masks
median_filter_width alignment_heads lang_to_id task_to_id is_multilingual no_timestamps_token_id
""".split()


def read_whisper(fields: ConfigFields) -> Shape:
    """Whisper: biases but for keys, learned positions of which a step reads one row, the encoder's keys and values.

    The encoder is a tower: it runs once for each half minute of audio.
    """
    check_activation(fields, "activation_function")
    fields.known(*_KNOWN)
    hidden = fields.integer("hidden_size", most=1_000_000)
    heads = fields.integer("decoder_attention_heads", most=100_000)
    layers = fields.integer("decoder_layers", most=1_000)
    heard = fields.integer("max_source_positions", default=1500, most=1_000_000)
    mixer = Attention(
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        query_key_value_bias=True,
        key_bias=False,
        output_bias=True,
        rotary=False,
    )
    crossing = CrossAttention(
        heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        tokens=heard,
        query_bias=True,
        output_bias=True,
        encoder_parameters=2 * hidden * hidden + hidden,
    )
    block = FeedForward(intermediate=fields.integer("decoder_ffn_dim", most=10_000_000), gated=False, bias=True)
    positions = fields.integer("max_target_positions", default=448, most=1_000_000)
    return {
        "layers": (Layer(mixer=mixer, crossing=crossing, feed_forward=block),) * layers,
        "norm_elements": 2,
        "other_parameters": positions * hidden + layers * crossing.encoder_parameters,
        "towers": (Tower(name="audio encoder", parameters=whisper_encoder(fields)),),
        "tied_default": True,
    }
