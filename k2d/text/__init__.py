"""Make texts comparable, split them into mixed tokens, and convert them to phonemes. Independent of audio and
models.
"""
