"""Networks as the files of other libraries, and back: Llamas of `transformers` and of the paper's release."""

from lab.exchange.exporting import export
from lab.exchange.importing import import_llama, read_llama

__all__ = ["export", "import_llama", "read_llama"]
