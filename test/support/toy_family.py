"""A third family, as its folder would define it. Its files end in .toy, and its network does nothing."""

from pathlib import Path
from types import SimpleNamespace

from k2d.models.codec import Window
from k2d.models.family import Family


class Toy(Family):
    name = "toy"
    published = ("toy-one",)
    checkpoints = "a .toy file"
    export_formats = ("openai",)
    guesses_language = True

    def recognises(self, path):
        return path.suffix == ".toy"

    def load(self, path, device, dtype, languages=(), cache=None):
        return SimpleNamespace(family="toy", path=path, dtype=dtype, languages=languages, cache=cache)

    def window(self, config):
        return Window(1.0, 8000, 0.5)

    def new(self, made_from, speech):
        return SimpleNamespace(family="toy", made_from=made_from, n_texts=len(speech.texts))

    def shape(self, path, vocabulary_size):
        return SimpleNamespace(name=Path(path).name)


FAMILY = Toy()
