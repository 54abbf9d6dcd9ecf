"""The cookbook: one short file per recipe, run by `recipes.engine`."""
