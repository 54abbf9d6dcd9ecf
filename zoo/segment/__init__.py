"""Segmentation: models that name the class of each pixel."""
