"""Networks that see the data and the whole noising state."""

from keras_gud.backbones.attention import Attention, CrossAttention
from keras_gud.backbones.backbone import Backbone, registry
from keras_gud.backbones.dit import DiT
from keras_gud.backbones.embedding import NoisingStateEmbedding
from keras_gud.backbones.mlp import MLP
from keras_gud.backbones.ncsnpp import NCSNpp
from keras_gud.backbones.sharding import layout_map
from keras_gud.backbones.sizes import get
from keras_gud.backbones.transfer import LayerTransfer, Transfer
from keras_gud.backbones.unet import UNet
from keras_gud.core.registry import discover

discover(__name__)

__all__ = [
    "MLP",
    "Attention",
    "Backbone",
    "CrossAttention",
    "DiT",
    "LayerTransfer",
    "NCSNpp",
    "NoisingStateEmbedding",
    "Transfer",
    "UNet",
    "get",
    "layout_map",
    "registry",
]
