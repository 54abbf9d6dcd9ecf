"""Families that give back their input: what they give back badly is unusual."""
