#include "agent/region.h"

#include "host/yaml.h"

namespace ew::agent {

Result<std::vector<PixelBox>> read_regions(const Settings& settings, std::string_view word,
                                           const PictureShape& shape) {
  std::vector<PixelBox> out;
  const host::YamlNode* list = settings.node(word);
  if (list == nullptr || !list->is_list()) return out;
  for (const host::YamlNode& item : list->list) {
    const Settings r(&item, kRegionWords);
    const PixelBox box{static_cast<int>(r.integer("left")), static_cast<int>(r.integer("top")),
                       static_cast<int>(r.integer("width")), static_cast<int>(r.integer("height"))};
    const bool fits = box.left + box.width <= shape.width && box.top + box.height <= shape.height;
    if (shape.height > 0 && !fits) {
      return item.error(
          str(word, ": this one does not lie in a picture of ", shape.width, "x", shape.height));
    }
    out.push_back(box);
  }
  return out;
}

}  // namespace ew::agent
