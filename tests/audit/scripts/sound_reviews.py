"""Sentiment of reviews as ids of words: three parts, padding masked, epochs chosen on validation. Sound."""

import keras
import numpy as np

keras.utils.set_random_seed(9)
random = np.random.default_rng(9)
vocabulary, maxlen = 1500, 50
texts, labels = [], []
for _ in range(1500):
    label = int(random.integers(2))
    words = random.integers(20, vocabulary, random.integers(4, 50))
    places = random.random(len(words)) < 0.15
    words[places] = random.integers(3, 10, places.sum()) + 8 * label
    texts.append(words.tolist())
    labels.append(label)

x = keras.utils.pad_sequences(texts, maxlen=maxlen, padding="post")
y = np.array(labels)
x_train, x_val, x_test = x[:900], x[900:1200], x[1200:]
y_train, y_val, y_test = y[:900], y[900:1200], y[1200:]

model = keras.Sequential(
    [
        keras.layers.Embedding(vocabulary, 8, mask_zero=True),
        keras.layers.LSTM(8),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
stop = keras.callbacks.EarlyStopping(monitor="val_accuracy", patience=1, restore_best_weights=True)
model.fit(x_train, y_train, epochs=4, validation_data=(x_val, y_val), callbacks=[stop], verbose=0)
print("test accuracy", model.evaluate(x_test, y_test, verbose=0)[1])
