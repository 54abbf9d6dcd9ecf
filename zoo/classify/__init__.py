"""Families that put an image into one of several classes."""
