// A whole `.keras`: ZIP, JSON, HDF5.
#include "formats/keras/keras_file.h"
#include "formats/zip.h"
#include "targets.h"

namespace ew::fuzz {

void keras_zip(Bytes bytes) {
  const Result<formats::ZipView> zip = formats::ZipView::open(bytes);
  if (zip.ok()) {
    for (const formats::ZipMember& member : zip->members()) {
      if (member.size < 1 << 24) (void)zip->read(member);
    }
  }
  const Result<ir::Model> model = formats::read_keras_zip(bytes, "fuzz.keras", kChildLimits);
  if (model.ok()) exercise(model->graph);
}

}  // namespace ew::fuzz
