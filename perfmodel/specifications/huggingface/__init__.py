"""A Hugging Face config.json to a Model, exactly by `model_type`: no network, no remote code, no guess."""

from perfmodel.specifications.huggingface.reader import model_from_config

__all__ = ["model_from_config"]
