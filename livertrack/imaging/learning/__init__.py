"""Networks that predict an outcome from pictures: architectures, one trainer, model files."""
