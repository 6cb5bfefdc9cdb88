"""Sentiment of reviews as ids of words. Planted: padding at the end without a mask; the best epoch of
validation told as the result."""

import keras
import numpy as np

keras.utils.set_random_seed(9)
random = np.random.default_rng(9)
vocabulary, maxlen = 2000, 60
texts, labels = [], []
for _ in range(1200):
    label = int(random.integers(2))
    words = random.integers(20, vocabulary, random.integers(8, 60))
    places = random.random(len(words)) < 0.1
    words[places] = random.integers(3, 10, places.sum()) + 8 * label
    texts.append(words.tolist())
    labels.append(label)

x = keras.utils.pad_sequences(texts, maxlen=maxlen, padding="post", truncating="post")
y = np.array(labels)

model = keras.Sequential(
    [
        keras.layers.Embedding(vocabulary, 8),
        keras.layers.SimpleRNN(8),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["acc"])
history = model.fit(x, y, epochs=3, batch_size=64, validation_split=0.2, verbose=0)
print("best validation accuracy:", max(history.history["val_acc"]))
