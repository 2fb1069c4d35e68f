"""Statistics of trial endpoints: frames in, results out. No torch, no pictures, no pages."""
