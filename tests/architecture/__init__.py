"""The shape of the code; who may import whom is the contract in pyproject.toml, which `make lint` holds up."""
