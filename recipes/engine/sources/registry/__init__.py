"""The named data sets, by what they hold."""

from recipes.engine.sources.registry import images, masks, series, texts
from recipes.engine.sources.registry.cards import Copy, DatasetCard

__all__ = ["TABLE", "Copy", "DatasetCard"]

TABLE = (*images.TABLE, *masks.TABLE, *series.TABLE, *texts.TABLE)
