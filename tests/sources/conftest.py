"""What every test of a source takes for granted, as those of the engine do."""

from tests.engine.conftest import own_surroundings, quick_looks

__all__ = ["own_surroundings", "quick_looks"]
