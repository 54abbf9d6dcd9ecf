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

FAMILIES: dict[str, Family] = {
    "alexnet": alexnet,
    "autoencoder": autoencoder,
    "ds_cnn": ds_cnn,
    "efficientnet_lite": efficientnet_lite,
    "inception_resnet_v2": inception_resnet_v2,
    "inception_v1": inception_v1,
    "inception_v3": inception_v3,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "resnet": resnet,
    "unet": unet,
    "vgg": vgg,
}
"""Family name → its module (see `zoo.contract.Family`)."""
