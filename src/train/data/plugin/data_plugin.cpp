#include "train/data/plugin/data_plugin.h"

#include "train/data/plugin/decoders.h"

extern "C" __attribute__((visibility("default"))) const ew::train::DataPlugin edgewise_data_plugin;
const ew::train::DataPlugin edgewise_data_plugin = {
    ew::train::kDataPluginVersion, ew::train::jpeg_info,  ew::train::decode_jpeg,
    ew::train::png_info,           ew::train::decode_png, ew::train::open_npz_archive};
