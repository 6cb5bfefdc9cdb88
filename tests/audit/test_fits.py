"""Calls of Keras that belong to one fit, and the parts on which it is scored."""

import numpy as np


def test_where_the_targets_of_a_prediction_stand_is_known_by_their_name(audited):
    audit = audited(
        """
        import keras, numpy as np
        def judged(model, trainX, testX, testY):
            model.fit(trainX, trainX[:, -1], verbose=0)
            return model.predict(testX, verbose=0)
        x = np.random.default_rng(0).normal(size=(60, 4, 1))
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        judged(model, x[:40], x[40:], x[40:, 0])
        """
    )
    part = audit.fits[0].reported
    assert (part.name, part.call.targets_name, part.rows.count) == ("test", "testY", 20)


def test_a_generator_goes_on_where_keras_left_it(audited):
    audit = audited(
        """
        import keras, numpy as np
        def batches():
            number = 0
            while True:
                number += 1
                yield np.full((4, 3, 1), number, "float32"), np.full((4, 1), number, "float32")
        source = batches()
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        of_validation = {"validation_data": batches(), "validation_steps": 2}
        model.fit(source, steps_per_epoch=3, epochs=2, shuffle=False, verbose=0, **of_validation)
        following = next(source)[0][0, 0, 0]
        assert following == 7, following
        """
    )
    fit = audit.fits[0]
    assert (fit.train.rows.count, fit.validation.rows.count, fit.train.rows.streamed) == (12, 8, True)
    np.testing.assert_array_equal(fit.train.rows.x[::4, 0, 0], [1, 2, 3])


def test_batches_that_can_be_read_again_are_read_when_the_program_has_ended(audited):
    audit = audited(
        """
        import keras, numpy as np
        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return 3
            def __getitem__(self, index):
                return np.full((4, 3, 1), index, "float32"), np.zeros((4, 1), "float32")
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(Batches(), verbose=0)
        """
    )
    np.testing.assert_array_equal(audit.fits[0].train.rows.x[::4, 0, 0], [0, 1, 2])


def test_batches_that_are_gone_when_the_program_has_ended_are_declined(audited):
    audit = audited(
        """
        import keras, numpy as np
        files = {0: np.zeros((4, 3, 1))}
        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return 1
            def __getitem__(self, index):
                return files[index], np.zeros((4, 1), "float32")
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(Batches(), verbose=0)
        del files[0]
        """
    )
    assert audit.comparisons[0].declined == "its batches could not be read again (KeyError: 0)"


def test_epochs_that_are_calls_of_their_own_are_one_fit(audited):
    audit = audited(
        """
        import keras, numpy as np
        x = np.random.default_rng(0).normal(size=(40, 4, 1))
        model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        for _ in range(3):
            model.fit(x, x[:, 0], verbose=0)
        """
    )
    assert [len(fit.calls) for fit in audit.fits] == [3]
