#pragma once
// The words by topic; feature_words() joins them.

#include "ops/signal/features.h"

namespace ew::ops::signal {

std::span<const FeatureWord> value_words();     // scaling, windows, statistics
std::span<const FeatureWord> spectrum_words();  // transforms, mel, cepstrum, envelope
std::span<const FeatureWord> filter_words();    // IIR, FIR, resampling
std::span<const FeatureWord> output_words();    // images, and what stands behind a net

}  // namespace ew::ops::signal
