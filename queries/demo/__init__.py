"""The demo bank: a made-up bank with two years of complaints that ends today. `load(conn)` is all there is to call."""
from queries.demo.load import load

__all__ = ["load"]
