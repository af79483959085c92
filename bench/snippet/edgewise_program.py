#!/usr/bin/env python3
"""More than the Keras program does: load, fine-tune, prune, quantise, save.

    edgewise_program.py BASE_MODEL.h5 DATA.npz OPTIMIZED_MODEL.h5
"""

import sys

import edgewise as ew

base, data, target = sys.argv[1:4]
model = ew.load_model(base)
digits = ew.Data.open(data)
schedule = ew.ExponentialDecay(0.01, decay_steps=10000, decay_rate=0.9)
model.compile(ew.Adam(learning_rate=schedule), "categorical_crossentropy", metrics=["accuracy"])
model.fit(digits, epochs=2, verbose=0)
optimized = ew.optimize(model, digits, quantize=ew.Int8(), prune=ew.Magnitude(0.5),
                        max_accuracy_drop=0.02)
ew.save(optimized, target)
print(f"accuracy {optimized.report.before.accuracy:.4f} -> {optimized.report.after.accuracy:.4f}")
