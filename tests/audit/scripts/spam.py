"""Spam among messages. Planted: the rare class multiplied before the split, so that copies
stand in both parts."""

import keras
import numpy as np

keras.utils.set_random_seed(2)
random = np.random.default_rng(2)
messages, is_spam = [], []
for _ in range(900):
    spam = int(random.random() < 0.1)
    words = random.integers(30, 800, random.integers(9, 25))
    if spam:
        words[random.random(len(words)) < 0.3] = random.integers(5, 25)
    messages.append(words.tolist())
    is_spam.append(spam)

# Balance the classes.
spam_only = [message for message, spam in zip(messages, is_spam, strict=True) if spam]
messages += spam_only * 6
is_spam += [1] * (len(spam_only) * 6)

x = keras.utils.pad_sequences(messages, maxlen=25)
y = np.array(is_spam)
order = random.permutation(len(x))
x, y = x[order], y[order]
x_train, y_train, x_test, y_test = x[:1000], y[:1000], x[1000:], y[1000:]

model = keras.Sequential(
    [
        keras.layers.Embedding(800, 8, mask_zero=True),
        keras.layers.LSTM(8),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=3, batch_size=64, validation_split=0.1, verbose=0)
print("test accuracy", model.evaluate(x_test, y_test, verbose=0)[1])
