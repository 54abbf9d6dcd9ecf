"""The zoo: an architecture is data.

    zoo.list_models("resnet*")
    zoo.spec("resnet20")
    zoo.build("resnet20", input_shape=(32, 32, 3), classes=10)
    zoo.card("resnet20")

The command line is `python -m zoo`.
"""

import lazy_loader

# The names are those of `__init__.pyi`. Keras is imported with the first of them: `zoo.fetch` alone needs none, and
# the engine's lists of data sets stay quick.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
