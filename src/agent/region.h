#pragma once
// Parts of pictures as app files name them: [{left, top, width, height}] in pixels.

#include <string_view>
#include <vector>

#include "agent/picture.h"
#include "agent/settings.h"

namespace ew::agent {

inline constexpr double kMaxSide = 16384;
inline constexpr WordDef kRegionWords[] = {{.name = "left",
                                            .kind = WordKind::kInteger,
                                            .help = "column",
                                            .is_required = true,
                                            .min = 0,
                                            .max = kMaxSide},
                                           {.name = "top",
                                            .kind = WordKind::kInteger,
                                            .help = "row",
                                            .is_required = true,
                                            .min = 0,
                                            .max = kMaxSide},
                                           {.name = "width",
                                            .kind = WordKind::kInteger,
                                            .help = "columns",
                                            .is_required = true,
                                            .min = 1,
                                            .max = kMaxSide},
                                           {.name = "height",
                                            .kind = WordKind::kInteger,
                                            .help = "rows",
                                            .is_required = true,
                                            .min = 1,
                                            .max = kMaxSide}};

/// Those under a word of kind kList with kRegionWords. Error at the word for one that does not lie
/// in `shape`; a shape without height has room for all.
Result<std::vector<PixelBox>> read_regions(const Settings& settings, std::string_view word,
                                           const PictureShape& shape);

}  // namespace ew::agent
