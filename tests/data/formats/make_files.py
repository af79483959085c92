"""Makes the files beside it: features of HDF5 and NumPy that the Keras oracle does not show, and
files that readers must refuse.

Run with h5py 3.16.0 and numpy 2.4.6: python make_files.py FOLDER (holding h5/, with npy/ beside it).
"""

import sys

import h5py
import numpy as np

d = sys.argv[1] + "/h5"
with h5py.File(d + "/types.h5", "w", libver="earliest") as f:
    g = f.create_group("g")
    for i, t in enumerate(
        ["<f2", ">f2", "<f4", ">f8", "|i1", "|u1", ">i2", "<u2", "<i4", ">u4", "<i8", ">u8", "?"]
    ):
        a = np.array([[0, 1, 2], [3, 100, 1]]).astype(t)
        g.create_dataset("d%02d" % i, data=a, track_times=False)
    g.create_dataset("scalar", data=np.int64(7), track_times=False)
    g.create_dataset("empty", data=np.zeros((0, 3), "<f4"), track_times=False)
    g.create_dataset("null", data=h5py.Empty("f"), track_times=False)
    g.create_dataset(
        "text", data=["a", "bcd", "\u00e9"], dtype=h5py.string_dtype(), track_times=False
    )
    g.create_dataset("fixed", data=np.array([b"ab", b"cde"], dtype="S5"), track_times=False)
    f.attrs["flag"] = True
    f.attrs["list"] = np.array([1.5, 2.5], ">f8")
    f.attrs["none"] = []
    f.attrs["ref"] = f["g"].ref
    f.attrs["big"] = "x" * 100000
with h5py.File(d + "/links.h5", "w", libver="earliest") as f:
    f.create_group("a")
    f["a/loop"] = f["/"]
with h5py.File(d + "/soft.h5", "w", libver="earliest") as f:
    f["s"] = h5py.SoftLink("/a")
with h5py.File(d + "/external_link.h5", "w", libver="earliest") as f:
    f["e"] = h5py.ExternalLink("/etc/hostname", "/")
with h5py.File(d + "/external_data.h5", "w", libver="earliest") as f:
    f.create_dataset(
        "d", shape=(10,), dtype="u1", external=[("/etc/hostname", 0, 10)], track_times=False
    )
with h5py.File(d + "/virtual.h5", "w", libver=("v110", "v110")) as f:
    l = h5py.VirtualLayout(shape=(10,), dtype="u1")
    l[:] = h5py.VirtualSource("plain.h5", "x", shape=(10,))
    f.create_virtual_dataset("v", l)
with h5py.File(d + "/bomb.h5", "w", libver="earliest") as f:
    f.create_dataset(
        "d",
        shape=(40000, 40000),
        dtype="f4",
        chunks=(1000, 1000),
        compression="gzip",
        track_times=False,
    )
with h5py.File(d + "/compound.h5", "w", libver="earliest") as f:
    f.create_dataset("d", data=np.zeros(3, dtype=[("a", "i4"), ("b", "f4")]), track_times=False)
with h5py.File(d + "/compact.h5", "w", libver="earliest") as f:
    p = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    p.set_layout(h5py.h5d.COMPACT)
    p.set_obj_track_times(False)
    s = h5py.h5s.create_simple((3,))
    x = h5py.h5d.create(f.id, b"d", h5py.h5t.IEEE_F32LE, s, p)
    x.write(s, s, np.array([1, 2, 3], "f4"))
with h5py.File(d + "/chunked.h5", "w", libver=("v110", "v110")) as f:
    a = np.arange(1000, dtype="f4").reshape(10, 100)
    f.create_dataset(
        "d",
        data=a,
        chunks=(3, 7),
        maxshape=(None, None),
        compression="lzf",
        shuffle=True,
        track_times=False,
    )
    for i in range(40):
        f.attrs["a%02d" % i] = i
with h5py.File(d + "/user_block.h5", "w", libver="earliest", userblock_size=1024) as f:
    f.attrs["x"] = "y"

a = np.arange(24).reshape(2, 3, 4)
d = sys.argv[1] + "/../npy"
np.save(d + "/fortran.npy", np.asfortranarray(a.astype("<f4")))
np.save(d + "/big.npy", a.astype(">i2"))
np.savez_compressed(d + "/z.npz", x=a.astype("f8"), y=np.array([True, False]))
for v in [(1, 0), (2, 0), (3, 0)]:
    with open(d + "/v%d.npy" % v[0], "wb") as f:
        np.lib.format.write_array(f, a.astype("f4"), version=v)
np.save(d + "/obj.npy", np.array([{}], dtype=object), allow_pickle=True)
np.save(d + "/str.npy", np.array(["ab"]))
