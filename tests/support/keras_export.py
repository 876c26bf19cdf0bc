"""Writes a small SE network of Keras as ONNX, and its own answer: a program, since Keras reads its
backend from the environment when it is imported.

python -m tests.support.keras_export FOLDER
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

SIDE = 32


def build() -> keras.Model:
    """Return a network with one SE block: pixels from 0 to 255, channels last, a softmax."""
    image = keras.Input((SIDE, SIDE, 3))
    features = layers.Conv2D(16, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    squeeze = layers.GlobalAveragePooling2D(keepdims=True)(features)
    hidden = layers.Conv2D(4, 1, activation="relu")(squeeze)
    gate = layers.Conv2D(16, 1, activation="sigmoid")(hidden)
    pooled = layers.GlobalAveragePooling2D()(layers.Multiply()([features, gate]))
    return keras.Model(image, [layers.Dense(5, activation="softmax")(pooled), gate])


def main(folder: Path) -> None:
    """Write ``net.onnx``, and the image, answer and gate as ``numbers.npz``."""
    keras.utils.set_random_seed(0)
    model = build()
    image = np.random.default_rng(0).uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    answer, gate = (np.asarray(value) for value in model.predict(image))
    alone = keras.Model(model.inputs, model.outputs[0])
    alone.predict(image)
    alone(image)
    alone.export(folder / "net.onnx", format="onnx", verbose=False)
    np.savez(folder / "numbers.npz", image=image, answer=answer, gate=gate)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
