"""The families of the zoo: an explicit table. A new family is one file and one line here."""

from zoo.anomaly import autoencoder
from zoo.classify import (
    alexnet,
    ds_cnn,
    efficientnet_lite,
    inception_resnet_v2,
    inception_v1,
    inception_v3,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    vgg,
)
from zoo.contract import Family
from zoo.segment import unet
from zoo.sequence import (
    bert,
    fcn,
    gpt2,
    inception_time,
    lstm_fcn,
    recurrent,
    recurrent_lm,
    resnet_1d,
    transformer,
    translator,
    word2vec,
)

FAMILIES: dict[str, Family] = {
    "alexnet": alexnet,
    "autoencoder": autoencoder,
    "bert": bert,
    "ds_cnn": ds_cnn,
    "efficientnet_lite": efficientnet_lite,
    "fcn": fcn,
    "gpt2": gpt2,
    "inception_resnet_v2": inception_resnet_v2,
    "inception_time": inception_time,
    "inception_v1": inception_v1,
    "inception_v3": inception_v3,
    "lstm_fcn": lstm_fcn,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "recurrent": recurrent,
    "recurrent_lm": recurrent_lm,
    "resnet": resnet,
    "resnet_1d": resnet_1d,
    "transformer": transformer,
    "translator": translator,
    "unet": unet,
    "vgg": vgg,
    "word2vec": word2vec,
}
"""Family name → its module (see `zoo.contract.Family`)."""
