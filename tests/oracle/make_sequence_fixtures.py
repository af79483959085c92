#!/usr/bin/env python3
"""Makes the Keras oracle's group `sequences`: what `layers` does not cover of recurrent layers, masks,
attention and operations on symbolic tensors. Same layout and rules as make_keras_fixtures.py.

    python make_sequence_fixtures.py --out fixtures [--filter S]
"""

import argparse
import os

import make_keras_fixtures as base
from make_keras_fixtures import K2, K3, fn, layer_case, seq, tf

np = base.np
FILTER = ""


def case(name, build, inputs, **kw):
    """A case of this group; those whose weights lie in sublayers get a .keras file too."""
    nested = ("cell", "stacked", "bi_", "timedist", "convlstm", "mha_", "gqa", "einsum_dense_0", "op_arithmetic")
    if FILTER in name:
        layer_case("sequences", name, build, inputs, keras_file=name.startswith(nested), **kw)


def ops_of(K):
    """Functions on symbolic tensors: keras.ops, or TensorFlow's for Keras 2."""
    return K.ops if K is K3 else tf


def recurrent():
    """Flags of recurrent layers, cells, masks through wrappers."""
    emb = lambda L: L.Embedding(9, 3, mask_zero=True)
    ids = ("masked", (3, 6), 9)
    for n in ("SimpleRNN", "LSTM", "GRU"):
        q = n.lower()
        case(f"{q}_masked_seq", seq(emb, lambda L: getattr(L, n)(4, return_sequences=True)), [ids])
        case(
            f"{q}_masked_back",
            seq(emb, lambda L: getattr(L, n)(4, return_sequences=True, go_backwards=True), lambda L: L.LSTM(2)),
            [ids],
        )
        case(f"bi_{q}_masked_seq", seq(emb, lambda L: L.Bidirectional(getattr(L, n)(3, return_sequences=True))), [ids])
        states = 2 if n == "LSTM" else 1
        case(
            f"{q}_initial_state",
            fn(
                lambda K, L, x, *s: getattr(L, n)(3, return_state=True)(
                    x, initial_state=list(s) if len(s) > 1 else s[0]
                )
            ),
            [(2, 4, 2)] + [(2, 3)] * states,
        )
        case(f"cell_{q}", seq(lambda L: L.RNN(getattr(L, n + "Cell")(4), return_sequences=True)), [(2, 5, 3)])
    for a in ("relu", "linear", "softsign", "elu", "selu", "softplus", "gelu", "swish", "exponential"):
        case(
            f"gru_{a}",
            seq(lambda L: L.GRU(3, activation=a, recurrent_activation="hard_sigmoid")),
            [(2, 4, 2)],
        )
    case("lstm_dropout", seq(lambda L: L.LSTM(3, dropout=0.2, recurrent_dropout=0.3)), [(2, 4, 2)])
    case("lstm_unroll", seq(lambda L: L.LSTM(3, unroll=True)), [(2, 4, 2)])
    cells = lambda L: [L.LSTMCell(3), L.GRUCell(2), L.LSTMCell(4)]
    case("stacked_cells", seq(lambda L: L.RNN(cells(L), return_sequences=True)), [(2, 5, 3)])
    case("stacked_cells_masked", seq(emb, lambda L: L.RNN(cells(L))), [ids])
    case(
        "stacked_cells_back", seq(emb, lambda L: L.RNN(cells(L), go_backwards=True, return_sequences=True)), [ids]
    )
    case("lstm_zero_output", seq(emb, lambda L: zero_output(L)), [ids], k2=False)
    case("gru_before_masked", seq(emb, lambda L: L.GRU(4, reset_after=False, return_sequences=True)), [ids])
    case("gru_before_nobias", seq(lambda L: L.GRU(4, reset_after=False, use_bias=False)), [(2, 4, 3)])
    case("masking_all_gone", seq(lambda L: L.Masking(0.0), lambda L: L.GRU(3)), [("maskedf", (1, 2, 2), 0)])


def zero_output(L):
    """A flag that the constructor takes from RNN's keywords."""
    l = L.LSTM(3, return_sequences=True)
    l.zero_output_for_mask = True
    return l


def wrappers():
    """Bidirectional and TimeDistributed."""
    for mode in ("sum", "mul", "ave", None):
        case(
            f"bi_gru_{mode or 'none'}".lower(),
            fn(lambda K, L, x: L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode=mode)(x)),
            [(2, 5, 2)],
        )
    case(
        "bi_lstm_states",
        fn(lambda K, L, x: L.Bidirectional(L.LSTM(3, return_state=True))(x)),
        [(2, 5, 2)],
    )
    case(
        "bi_two_layers",
        fn(lambda K, L, x: L.Bidirectional(L.LSTM(3), backward_layer=L.GRU(2, go_backwards=True))(x)),
        [(2, 5, 2)],
    )
    case(
        "bi_initial_state",
        fn(lambda K, L, x, a, b: L.Bidirectional(L.GRU(3))(x, initial_state=[a, b])),
        [(2, 5, 2), (2, 3), (2, 3)],
    )
    case("bi_rnn_cell", fn(lambda K, L, x: L.Bidirectional(L.RNN(L.GRUCell(3)))(x)), [(2, 5, 2)])
    emb = lambda L: L.Embedding(9, 3, mask_zero=True)
    ids = ("masked", (3, 6), 9)
    case("timedist_masked", seq(emb, lambda L: L.TimeDistributed(L.Dense(4)), lambda L: L.LSTM(2)), [ids])
    case("timedist_open", seq_open(lambda L: L.TimeDistributed(L.Dense(4)), lambda L: L.GRU(2)), [(2, 5, 3)])
    case(
        "timedist_lstm",
        seq(lambda L: L.TimeDistributed(L.LSTM(3)), lambda L: L.LSTM(2)),
        [(2, 3, 4, 2)],
    )
    case(
        "timedist_model",
        fn(lambda K, L, x: L.TimeDistributed(K.Sequential([L.Dense(4), L.BatchNormalization()]))(x)),
        [(2, 3, 4)],
    )
    for name, kw in (
        ("1d", dict(kernel_size=3, padding="same", return_sequences=True)),
        ("2d_valid", dict(kernel_size=(2, 3), strides=(1, 2), activation="relu", go_backwards=True)),
        ("2d_state", dict(kernel_size=2, padding="same", return_state=True, use_bias=False)),
        ("3d", dict(kernel_size=2, padding="same", dropout=0.1, recurrent_dropout=0.1)),
    ):
        shape = {"1d": (1, 3, 6, 2), "3d": (1, 2, 3, 3, 2, 2)}.get(name, (1, 3, 4, 5, 2))
        rank = len(shape) - 3
        case(f"convlstm{name}", fn(lambda K, L, x: getattr(L, f"ConvLSTM{rank}D")(2, **kw)(x)), [shape])


def seq_open(*layers):
    """A Sequential case whose number of steps is unknown."""

    def build(K, L, shapes, dtypes):
        """The case's model by one Keras."""
        open_shape = (None,) + tuple(shapes[0][1:])
        m = K.Sequential([base.input_layer(K, open_shape, dtype=dtypes[0])])
        for f in layers:
            m.add(f(L))
        return m

    return build


def masks():
    """How layers with several inputs combine masks."""
    ids = ("masked", (3, 6), 9)

    def two(merge):
        """Two masked embeddings, merged, then a layer that uses the mask."""

        def f(K, L, a, b):
            """The model."""
            x = L.Embedding(9, 3, mask_zero=True)(a)
            y = L.Embedding(9, 3, mask_zero=True)(b)
            return L.LSTM(2)(merge(L)([x, y]))

        return f

    for n in ("Add", "Multiply", "Maximum"):
        case(f"mask_{n.lower()}", fn(two(lambda L: getattr(L, n)())), [ids, ids])
    case("mask_concat", fn(two(lambda L: L.Concatenate())), [ids, ids])
    case("mask_concat_time", fn(two(lambda L: L.Concatenate(axis=1))), [ids, ids])

    def half(merge):
        """One masked and one plain input."""

        def f(K, L, a, b):
            """The model."""
            x = L.Embedding(9, 3, mask_zero=True)(a)
            return L.GRU(2)(merge(L)([x, b]))

        return f

    case("mask_half_add", fn(half(lambda L: L.Add())), [ids, (3, 6, 3)])
    case("mask_half_concat", fn(half(lambda L: L.Concatenate())), [ids, (3, 6, 2)])
    case("mask_half_time", fn(half(lambda L: L.Concatenate(axis=1))), [ids, (3, 2, 3)])


def attention():
    """Attention with masks, causality, other scores, grouped heads, einsums."""
    ids = ("masked", (3, 6), 9)

    def masked_mha(K, L, a, **kw):
        """Self-attention over a masked embedding."""
        x = L.Embedding(9, 4, mask_zero=True)(a)
        return L.GRU(2)(L.MultiHeadAttention(2, 3)(x, x, **kw))

    case("mha_masked", fn(masked_mha), [ids])
    case("mha_masked_causal", fn(lambda K, L, a: masked_mha(K, L, a, use_causal_mask=True)), [ids])
    case("mha_dropout", fn(lambda K, L, x: L.MultiHeadAttention(2, 3, dropout=0.1)(x, x)), [(2, 4, 5)])
    case(
        "mha_key",
        fn(lambda K, L, q, v, k: L.MultiHeadAttention(2, 3)(q, v, k)),
        [(2, 3, 4), (2, 5, 6), (2, 5, 2)],
    )
    case(
        "mha_mask_input",
        fn(lambda K, L, q, v, m: L.MultiHeadAttention(2, 3)(q, v, attention_mask=m)),
        [(2, 3, 4), (2, 5, 4), ("int", (2, 3, 5), 2)],
    )
    case(
        "mha_scores",
        fn(lambda K, L, q, v: list(L.MultiHeadAttention(2, 3)(q, v, return_attention_scores=True))),
        [(2, 3, 4), (2, 5, 4)],
    )
    case("mha_gate", fn(lambda K, L, x: L.MultiHeadAttention(2, 3, use_gate=True)(x, x)), [(2, 4, 5)], k2=False)
    case(
        "mha_window", fn(lambda K, L, x: L.MultiHeadAttention(2, 3, sliding_window=2)(x, x)), [(2, 6, 5)], k2=False
    )
    case("mha_output_shape", fn(lambda K, L, x: L.MultiHeadAttention(2, 3, output_shape=(2, 3))(x, x)), [(2, 4, 5)])
    case("gqa", fn(lambda K, L, x: L.GroupQueryAttention(3, 4, 2)(x, x)), [(2, 5, 6)], k2=False)
    case(
        "gqa_causal",
        fn(lambda K, L, x: L.GroupQueryAttention(3, 6, 3, use_bias=False)(x, x, use_causal_mask=True)),
        [(2, 5, 6)],
        k2=False,
    )

    def masked_attention(K, L, a, b, **kw):
        """Attention of one masked embedding to another."""
        x = L.Embedding(9, 4, mask_zero=True)(a)
        y = L.Embedding(9, 4, mask_zero=True)(b)
        return L.Attention(**kw)([x, y])

    case("attention_masked", fn(masked_attention), [ids, ids])
    case(
        "attention_concat",
        fn(lambda K, L, q, v: L.Attention(use_scale=True, score_mode="concat")([q, v])),
        [(2, 3, 4), (2, 5, 4)],
    )
    case(
        "attention_causal_key",
        fn(lambda K, L, q, v, k: L.Attention()([q, v, k], use_causal_mask=True)),
        [(2, 4, 3), (2, 4, 5), (2, 4, 3)],
    )
    case("additive_noscale", fn(lambda K, L, q, v: L.AdditiveAttention(use_scale=False)([q, v])), [(2, 3, 4), (2, 5, 4)])
    for i, (eq, out, bias, shape) in enumerate(
        (
            ("abc,cde->abde", (None, 3, 2), "de", (2, 3, 4)),
            ("...x,xy->...y", 5, "y", (2, 3, 4)),
            ("abcd,cde->abe", (None, 5), None, (2, 3, 4, 2)),
            ("ab,bc->ac", 3, "c", (2, 4)),
            ("abc,bcd->abd", (3, 5), "d", (2, 3, 4)),
            ("abc,cd->adb", (5, None), "d", (2, 3, 4)),
            ("ab...,bc->ac...", 3, "c", (2, 4, 5)),
        )
    ):
        case(
            f"einsum_dense_{i}",
            fn(lambda K, L, x: L.EinsumDense(eq, output_shape=out, bias_axes=bias, activation="relu")(x)),
            [shape],
        )
    case("dot_23", fn(lambda K, L, a, b: L.Dot(axes=(1, 2))([a, b])), [(3, 5), (3, 4, 5)])
    case("dot_33", fn(lambda K, L, a, b: L.Dot(axes=(2, 1))([a, b])), [(3, 2, 5), (3, 5, 4)])
    case("dot_34", fn(lambda K, L, a, b: L.Dot(axes=(1, 3), normalize=True)([a, b])), [(3, 5, 2), (3, 2, 4, 5)])
    case("merge_ranks", fn(lambda K, L, a, b: L.Add()([a, b])), [(3, 4), (3, 2, 4)])


def operations():
    """Arithmetic and functions on symbolic tensors, by either Keras."""
    x3 = (2, 4, 3)
    both = {
        "arithmetic": lambda o, x: (1.0 - x * 2.0 + 1.0) / (o.square(x) + 1.0),
        "power": lambda o, x: x**2,
        "negative": lambda o, x: o.abs(-x),
        "last_step": lambda o, x: x[:, -1],
        "strided": lambda o, x: x[:, 1:, ::-1],
        "new_axis": lambda o, x: x[..., None, :, 0],
        "transpose": lambda o, x: o.transpose(x, (0, 2, 1)),
        "reshape": lambda o, x: o.reshape(x, (-1, 12)),
        "expand_squeeze": lambda o, x: o.squeeze(o.expand_dims(x, 1), 1),
        "exp_sqrt": lambda o, x: o.sqrt(o.exp(x)),
        "where": lambda o, x: o.where(x > 0.0, x, x * 0.1),
        "maximum": lambda o, x: o.maximum(o.minimum(x, 0.5), -0.5),
        "cast": lambda o, x: o.cast(o.cast(x > 0.0, "int32"), "float32"),
        "tile": lambda o, x: o.tile(x, [1, 2, 1]),
        "array": lambda o, x: x * np.arange(3).astype("float32"),
        "split": lambda o, x: o.split(x, 2, axis=1)[1],
        "floor": lambda o, x: x // 0.5,
        "logical": lambda o, x: o.cast(o.logical_and(x > -0.5, o.logical_not(x > 0.5)), "float32"),
        "stack": lambda o, x: o.stack([x, x * 2.0], axis=2),
        "matmul": lambda o, x: o.matmul(x, o.transpose(x, (0, 2, 1))),
        "take": lambda o, x: (o.take if o is not tf else o.gather)(x, [0, 2], axis=1),
    }
    for name, f in both.items():
        case(f"op_{name}", fn(lambda K, L, x: f(ops_of(K), L.Dense(3)(x))), [x3])
    keras3 = {
        "mean": lambda o, x: o.mean(x, axis=1, keepdims=True),
        "sum": lambda o, x: o.sum(x, axis=[1, 2]),
        "max": lambda o, x: o.max(x, axis=-1) - o.min(x, axis=-1),
        "var": lambda o, x: o.var(x, axis=1) + o.std(x, axis=1),
        "logsumexp": lambda o, x: o.logsumexp(x, axis=-1),
        "any": lambda o, x: o.cast(o.any(x > 1.0, axis=-1), "float32") + o.cast(o.all(x > 0.0, axis=-1), "float32"),
        "softmax": lambda o, x: o.softmax(x, axis=1) + o.log_softmax(x, axis=-1),
        "activations": lambda o, x: o.gelu(o.leaky_relu(o.silu(o.relu6(o.elu(x))), 0.1)),
        "clip": lambda o, x: o.clip(x, -0.3, 0.4),
        "flip": lambda o, x: o.flip(x, axis=1),
        "repeat": lambda o, x: o.repeat(x, 2, axis=1),
        "swap": lambda o, x: o.swapaxes(o.moveaxis(x, 1, 2), 1, 2),
        "normalize": lambda o, x: o.normalize(x, axis=-1) + o.norm(x, axis=-1, keepdims=True),
        "einsum": lambda o, x: o.einsum("abc,adc->abd", x, x),
        "concat": lambda o, x: o.concatenate([x, o.zeros_like(x), o.ones_like(x)], axis=1),
        "unstack": lambda o, x: o.unstack(x, axis=1)[2],
        "mod": lambda o, x: x % 0.7,
        "pad": lambda o, x: o.pad(x, [[0, 0], [1, 2], [0, 0]], constant_values=0.5),
    }
    for name, f in keras3.items():
        case(f"op_{name}", fn(lambda K, L, x: f(K.ops, L.Dense(3)(x))), [x3], k2=False)
    keras2 = {
        "reduce": lambda x: tf.reduce_mean(x, axis=1, keepdims=True) - tf.reduce_max(x, 1, keepdims=True),
        "reduce_sum": lambda x: tf.reduce_sum(x, [1, 2]),
        "concat": lambda x: tf.concat([x, tf.zeros_like(x)], 1),
        "activations": lambda x: tf.nn.softmax(tf.nn.relu6(tf.nn.leaky_relu(tf.nn.gelu(x), 0.1))),
        "clip": lambda x: tf.clip_by_value(x, -0.3, 0.4),
        "reverse": lambda x: tf.reverse(x, [1]),
        "normalize": lambda x: tf.math.l2_normalize(x, -1),
        "einsum": lambda x: tf.matmul(x, x, transpose_b=True),
        "reshape_dynamic": lambda x: tf.reshape(x, (tf.shape(x)[0], 6, 2)) * tf.cast(tf.shape(x)[1], tf.float32),
        "time_major": lambda x: K2.layers.LSTM(2, time_major=True, return_sequences=True)(x),
        "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 0]]),
        "add_n": lambda x: tf.add_n([x, x, x]),
        "backend": lambda x: K2.backend.mean(x, axis=1),
    }
    for name, f in keras2.items():
        # The Keras 3 side of such a model is its Dense alone; only the k2 outputs count.
        keras2_case(f"tf_{name}", f, x3)
    case(
        "op_ids",
        fn(lambda K, L, x: K.ops.one_hot(x, 5) * K.ops.cast(K.ops.not_equal(x, 0), "float32")[..., None]),
        [("int", (2, 4), 5)],
        k2=False,
    )


def keras2_case(name, f, shape):
    """A case whose model only Keras 2 can make."""
    if FILTER not in name:
        return
    d = base.case_dir("sequences", name)
    x = base.make_inputs([shape], name)[0]
    K2.backend.clear_session()
    i = K2.Input(shape[1:])
    m = K2.Model(i, f(K2.layers.Dense(3)(i)))
    base.set_weights(m, name)
    y = np.asarray(m(x, training=False))
    base.save_npy(f"{d}/input_0.npy", x)
    base.save_npy(f"{d}/output_0.npy", y)
    m.save(f"{d}/model.k2.h5")
    base.dump(
        f"{d}/case.json",
        dict(
            kind="forward",
            name=name,
            inputs=["input_0.npy"],
            outputs=["output_0.npy"],
            tolerance=float(f"{max(2e-6, 4e-6 * float(np.max(np.abs(y)))):.3g}"),
            writers={"k2.h5": dict(file="model.k2.h5")},
        ),
    )


def main():
    """Reads the options and makes the cases."""
    global FILTER
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", default="fixtures")
    ap.add_argument("--filter", default="")
    a = ap.parse_args()
    base.OUT = a.out
    FILTER = a.filter
    os.makedirs(a.out, exist_ok=True)
    for make in (recurrent, wrappers, masks, attention, operations):
        base.run_group(make)
    print("failed", len(base.FAILED))
    print("\n".join(base.FAILED))


if __name__ == "__main__":
    main()
