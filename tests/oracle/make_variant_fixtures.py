#!/usr/bin/env python3
"""Makes the Keras oracle's group `variants`: what `layers` does not cover of convolutions, pooling,
normalisation, activations, shape and preprocessing layers. Same layout and rules as
make_keras_fixtures.py.

    python make_variant_fixtures.py --out fixtures [--filter S]
"""

import argparse
import os

import make_keras_fixtures as base
from make_keras_fixtures import layer_case, seq

FILTER = ""
FIRST = dict(data_format="channels_first")


def case(name, build, inputs, **kw):
    """A case of this group."""
    if FILTER in name:
        layer_case("variants", name, build, inputs, keras_file=False, **kw)


def convolutions():
    """Strides with dilation, groups, transposed lengths."""
    case("conv1d_groups", seq(lambda L: L.Conv1D(6, 3, groups=2, padding="same")), [(2, 7, 4)])
    case("conv1d_causal_s2", seq(lambda L: L.Conv1D(4, 3, strides=2, padding="causal")), [(2, 9, 3)])
    case("conv2d_reg", seq(lambda L: L.Conv2D(2, 2, kernel_regularizer="l2", bias_constraint="non_neg")), [(1, 4, 4, 2)])
    case("conv2d_leaky", seq(lambda L: L.Conv2D(2, 2, activation=L.LeakyReLU(0.2))), [(1, 4, 4, 2)], k2=False)
    case("dwconv1d_s2", seq(lambda L: L.DepthwiseConv1D(3, strides=2)), [(2, 8, 3)])
    case(
        "dwconv2d_s2_d2",
        seq(lambda L: L.DepthwiseConv2D(3, strides=2, dilation_rate=2, padding="same")),
        [(1, 9, 8, 3)],
        k2=False,
    )
    case("sepconv1d_d2", seq(lambda L: L.SeparableConv1D(4, 3, dilation_rate=2, depth_multiplier=2)), [(2, 9, 3)])
    for p in ("valid", "same"):
        case(f"convt1d_{p}_k2s3", seq(lambda L: L.Conv1DTranspose(3, 2, strides=3, padding=p)), [(2, 4, 2)])
        case(f"convt2d_{p}_rect", seq(lambda L: L.Conv2DTranspose(2, (3, 2), strides=(1, 2), padding=p)), [(1, 3, 4, 2)])
        case(f"convt3d_{p}", seq(lambda L: L.Conv3DTranspose(2, 3, strides=(1, 2, 2), padding=p)), [(1, 2, 3, 3, 2)])
    case(
        "convt2d_valid_outpad",
        seq(lambda L: L.Conv2DTranspose(2, 3, strides=2, output_padding=1)),
        [(1, 4, 3, 2)],
    )
    case(
        "convt2d_same_outpad0",
        seq(lambda L: L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=0)),
        [(1, 4, 3, 2)],
    )
    case("convt1d_outpad", seq(lambda L: L.Conv1DTranspose(2, 3, strides=2, output_padding=1)), [(1, 4, 2)])


def pooling():
    """Strides apart from the window, channels first, masks."""
    for t in ("Max", "Average"):
        q = t.lower()
        case(f"{q}pool1d_s1", seq(lambda L: getattr(L, f"{t}Pooling1D")(3, strides=1, padding="same")), [(2, 7, 2)])
        case(f"{q}pool2d_s3", seq(lambda L: getattr(L, f"{t}Pooling2D")(2, strides=3, padding="same")), [(1, 8, 7, 2)])
        case(f"{q}pool2d_rect", seq(lambda L: getattr(L, f"{t}Pooling2D")((1, 3), strides=(2, 1))), [(1, 5, 6, 2)])
        case(f"{q}pool3d_s", seq(lambda L: getattr(L, f"{t}Pooling3D")(3, strides=2, padding="same")), [(1, 4, 5, 6, 2)])
        for n, shape in ((1, (2, 3, 5)), (2, (2, 3, 4, 5)), (3, (1, 2, 3, 4, 5))):
            case(
                f"global{q}pool{n}d_first",
                seq(lambda L: getattr(L, f"Global{t}Pooling{n}D")(keepdims=True, **FIRST)),
                [shape],
            )
    case(
        "globalavgpool1d_masked_keepdims",
        seq(lambda L: L.Masking(0.0), lambda L: L.GlobalAveragePooling1D(keepdims=True)),
        [("maskedf", (2, 6, 2), 0)],
    )


def normalization():
    """Axes, groups, half types."""
    case("bn_small_epsilon", seq(lambda L: L.BatchNormalization(epsilon=1e-6)), [(2, 3, 3, 2)])
    case("bn_4d_axis1", seq(lambda L: L.BatchNormalization(axis=1)), [(2, 3, 4, 4)])
    case("bn_5d", seq(lambda L: L.BatchNormalization()), [(1, 2, 3, 3, 2)])
    case("bn_3d", seq(lambda L: L.BatchNormalization()), [(2, 5, 3)])
    case("bn_frozen", seq(lambda L: L.BatchNormalization(trainable=False)), [(3, 4)])
    case("ln_axis1", seq(lambda L: L.LayerNormalization(axis=1)), [(2, 4, 3)])
    case("ln_rms", seq(lambda L: L.LayerNormalization(rms_scaling=True)), [(2, 3, 6)], k2=False)
    case("groupnorm_axis1", seq(lambda L: L.GroupNormalization(groups=2, axis=1)), [(2, 4, 3, 3)])
    case("groupnorm_instance", seq(lambda L: L.GroupNormalization(groups=-1)), [(2, 3, 3, 4)])
    case("groupnorm_noaffine", seq(lambda L: L.GroupNormalization(2, center=False, scale=False)), [(2, 5, 4)])
    case("unitnorm_axes", seq(lambda L: L.UnitNormalization(axis=[1, 2])), [(2, 3, 4)])
    for n in ("BatchNormalization", "LayerNormalization", "GroupNormalization"):
        kw = dict(groups=2) if n.startswith("Group") else {}
        case(
            f"half_{n.lower()}",
            seq(lambda L: getattr(L, n)(dtype="mixed_float16", **kw)),
            [(2, 3, 3, 4)],
            k2=False,
            tol=0.02,
        )


def activations():
    """Keras 3's further activations; layers with options."""
    for a in ("hard_shrink", "soft_shrink", "tanh_shrink", "sparse_plus", "sparse_sigmoid", "hard_swish"):
        case(f"activation_{a}", seq(lambda L: L.Activation(a)), [(4, 8)], k2=False)
    case("softmax_axes", seq(lambda L: L.Softmax(axis=[1, 2])), [(2, 3, 4)])
    case(
        "softmax_masked",
        seq(lambda L: L.Masking(0.0), lambda L: L.Dense(6), lambda L: L.Permute((2, 1)), lambda L: L.Softmax()),
        [("maskedf", (2, 6, 3), 0)],
    )
    case("relu_slope", seq(lambda L: L.ReLU(negative_slope=0.2)), [(3, 6)])
    case("relu_threshold", seq(lambda L: L.ReLU(threshold=0.5)), [(4, 8)])
    case("relu_max_slope", seq(lambda L: L.ReLU(max_value=1.0, negative_slope=0.2)), [(4, 8)])
    case("elu_default", seq(lambda L: L.ELU()), [(3, 6)])
    case("prelu_axis", seq(lambda L: L.PReLU(shared_axes=[1])), [(2, 3, 4)])


def shapes():
    """Borders and layouts."""
    case("flatten_first", seq(lambda L: L.Flatten(**FIRST)), [(2, 3, 4, 5)])
    case("flatten_flat", seq(lambda L: L.Flatten()), [(2, 3)])
    case("reshape_infer", seq(lambda L: L.Reshape((-1,)), lambda L: L.Reshape((2, 3, 4))), [(2, 4, 6)])
    case("zeropad3d", seq(lambda L: L.ZeroPadding3D(((1, 0), (0, 2), (1, 1)))), [(1, 2, 3, 2, 2)])
    case("zeropad2d_first", seq(lambda L: L.ZeroPadding2D((1, 2), **FIRST)), [(1, 2, 3, 4)])
    case("crop3d", seq(lambda L: L.Cropping3D(1)), [(1, 4, 5, 3, 2)])
    case("crop2d_first", seq(lambda L: L.Cropping2D((1, 0), **FIRST)), [(1, 2, 4, 5)])
    case("up3d", seq(lambda L: L.UpSampling3D((1, 2, 3))), [(1, 2, 2, 2, 2)])
    case("up2d_bicubic", seq(lambda L: L.UpSampling2D(3, interpolation="bicubic")), [(1, 4, 3, 2)])
    case("up2d_bilinear_first", seq(lambda L: L.UpSampling2D((2, 3), interpolation="bilinear", **FIRST)), [(1, 2, 3, 4)])
    case("dropout_noise_shape", seq(lambda L: L.Dropout(0.3, noise_shape=(None, 1, 4))), [(2, 3, 4)])
    case("spatialdropout1d", seq(lambda L: L.SpatialDropout1D(0.3)), [(2, 3, 4)])


def preprocessing():
    """Resizing and crops of every kind; statistics."""
    image = [(2, 6, 9, 2)]
    for m in ("bilinear", "nearest", "bicubic"):
        case(f"resizing_{m}_up", seq(lambda L: L.Resizing(13, 10, interpolation=m)), image)
        case(f"resizing_{m}_down", seq(lambda L: L.Resizing(4, 5, interpolation=m)), image)
        case(f"resizing_{m}_crop", seq(lambda L: L.Resizing(4, 4, m, crop_to_aspect_ratio=True)), image)
        case(f"resizing_{m}_uint8", seq(lambda L: L.Resizing(7, 5, m)), [("uint8", (1, 4, 6, 1), 256)])
    case("centercrop_up", seq(lambda L: L.CenterCrop(8, 4)), image)
    case("centercrop_both_up", seq(lambda L: L.CenterCrop(12, 12)), image)
    case("randomcrop", seq(lambda L: L.RandomCrop(4, 4)), image)
    for n, a in (("RandomFlip", ()), ("RandomRotation", (0.2,)), ("RandomZoom", (0.2,)), ("RandomContrast", (0.2,))):
        case(n.lower(), seq(lambda L: getattr(L, n)(*a)), image)
    case("rescaling_vector", seq(lambda L: L.Rescaling([1.0, 2.0], offset=[0.5, -0.5])), image, k2=False)
    case("normalization_axes", seq(lambda L: L.Normalization(axis=[1, 2])), [(2, 3, 4)])
    case("normalization_scalar", seq(lambda L: L.Normalization(axis=None, mean=0.3, variance=2.0)), [(2, 3, 4)])
    case("normalization_axis1", seq(lambda L: L.Normalization(axis=1, mean=[1.0, 2.0], variance=[1.0, 4.0])), [(3, 2, 2)])
    case(
        "normalization_invert",
        seq(lambda L: L.Normalization(mean=[0.1, 0.2], variance=[1.0, 2.0], invert=True)),
        [(2, 3, 2)],
    )


def main():
    """Reads the arguments and makes the group."""
    global FILTER
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--filter", default="")
    a = p.parse_args()
    base.OUT, base.ONLY, FILTER = os.path.abspath(a.out), {"variants"}, a.filter
    for group in (convolutions, pooling, normalization, activations, shapes, preprocessing):
        group()
    print(len(base.INDEX), "cases made")
    for line in base.FAILED:
        print("FAILED", line)


if __name__ == "__main__":
    main()
