"""Where examples come from: one short file a kind of source. `recipes.engine.data.load` puts them together."""
