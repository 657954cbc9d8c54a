"""Drawings: view-models and words enter, SVG text leaves; pure and escaped."""
